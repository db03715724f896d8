"""Versions of companies, deaths and residents as a pure function of a seed: whoever reads the plan finds the same.

Version `i` has the sequence `i + 1`, unique over all record types. Keys come round and round; a key's n-th version is
its n-th visit. Some versions withdraw a record, some change only fields that a share may not show, and companies
move between three cities.
"""

import dataclasses
import hashlib
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from exchange import names
from exchange.catalogue.load import load
from exchange.demo.province.people import Population
from exchange.names import Department, RecordType
from exchange.settings import Settings

COMPANIES = RecordType("legal-entity.registration")
DEATHS = RecordType("population.death")
RESIDENTS = RecordType("population.resident")
PROVIDERS = {
    COMPANIES: Department("market-regulation"),
    DEATHS: Department("health"),
    RESIDENTS: Department("public-security"),
}
INBOXES = {record_type: names.inbox_topic(record_type, provider) for record_type, provider in PROVIDERS.items()}
CITIES = ("340100", "340200", "340800")
_STRIDE = 7919
_VISITS_A_NAME = 3
_WITHDRAWN_OF = 9


class Version(NamedTuple):
    """One version of a record, as its department holds it."""

    record_type: RecordType
    key: bytes
    sequence: int
    row: dict[str, Any] | None
    """None: withdrawn."""


class Plan:
    """`size` versions of `keys` records; half of the keys are companies, the others deaths and residents."""

    def __init__(self, seed: int, size: int, keys: int, catalogue: Path | None = None) -> None:
        self.seed, self.size = seed, size
        population = Population(seed)
        codes = {name: spec.credit_code for name, spec in load(catalogue or Settings().catalogue).departments.items()}
        residents = population.residents(keys // 2)
        half = len(residents) // 2
        self._rows: list[tuple[RecordType, bytes, dict[str, Any]]] = []
        for company in population.companies(keys - keys // 2, codes[PROVIDERS[COMPANIES]]):
            self._rows.append((COMPANIES, company.credit_code.encode(), dataclasses.asdict(company)))
        for death in population.deaths(residents[:half], codes[PROVIDERS[DEATHS]], share=10.0):
            key = f"{death.provider_code}/{death.resident_id}".encode()
            self._rows.append((DEATHS, key, dataclasses.asdict(death)))
        for resident in residents[half:]:
            self._rows.append((RESIDENTS, resident.resident_id.encode(), dataclasses.asdict(resident)))
        self.resident_ids = [one.resident_id.encode() for one in residents]

    def version(self, number: int) -> Version:
        """Version `number`, from 0."""
        visit, place = divmod(number, len(self._rows))
        at = (place * _STRIDE + visit * 31) % len(self._rows)
        record_type, key, row = self._rows[at]
        if visit and self._drawn(at, visit) and not self._drawn(at, visit - 1):
            return Version(record_type, key, number + 1, None)
        return Version(record_type, key, number + 1, row | self._changes(record_type, at, visit, number))

    def _drawn(self, at: int, visit: int) -> bool:
        return self._hash("gone", at, visit) % _WITHDRAWN_OF == 0

    def _changes(self, record_type: RecordType, at: int, visit: int, number: int) -> dict[str, Any]:
        seldom = f"变更{self._hash('name', at, visit // _VISITS_A_NAME) % 10_000:04d}"
        if record_type == COMPANIES:
            city = CITIES[self._hash("city", at, visit) % len(CITIES)]
            return {"name": f"第{number}号有限公司", "region": city, "established": date(2020, 1, 1)}
        if record_type == DEATHS:
            return {"name": seldom, "certificate_number": f"3499-{number:010d}"}
        return {"name": seldom, "household_address": f"第{number}号"}

    def _hash(self, what: str, at: int, visit: int) -> int:
        text = f"{self.seed}/{what}/{at}/{visit}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest())

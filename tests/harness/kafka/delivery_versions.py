"""Versions of companies for the harness of delivery: some withdrawn, some leaving and entering a city."""

import random
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from exchange.ledger.state.ledger_state import Condition
from tests.harness.delivery_checker import fault
from tests.harness.kafka.delivery import REGISTRY, DeliveryHarness, headers

IN_CITY, ELSEWHERE = "340800", "340100"
CITY = (Condition("region", "equals", (IN_CITY,)),)
Version = tuple[str, str] | None
"""(name, region) of a version; None = withdrawn. No two versions have one name."""
Seen = Mapping[bytes, list[str | None]]
"""Key -> names, and None for each tombstone."""


class Versions:
    """Writes into the registry as admission does, which withdraws only what it knows; remembers what it wrote."""

    def __init__(self, harness: DeliveryHarness, keys: int = 400, first: int = 0) -> None:
        self._harness, self._keys, self._first = harness, keys, first
        self._random = random.Random(20261124 + first)
        optional = {item["name"]: None for item in harness.schema.schema["fields"] if "default" in item}
        said = {"established": date(2020, 1, 1), "status": "active", "registration_authority": "a"}
        self._record = optional | said | {"authority_code": "11340000MB1990000X"}
        self.written: dict[bytes, list[Version]] = {}
        self.count = 0

    def grow(self, records: int) -> None:
        """Write records in one transaction."""
        batch = []
        for _ in range(records):
            number = self._first + self._random.randrange(self._keys)
            key = b"9134%014d" % number
            self.count += 1
            found = self.written.setdefault(key, [])
            gone = self._random.random() < 0.1 and bool(found) and found[-1] is not None
            region = self._random.choice([IN_CITY, ELSEWHERE])
            found.append(None if gone else (f"version {self._first + self.count}", region))
            value = self._value(key, found[-1])
            batch.append((REGISTRY, key, value, number % self._harness.partitions, headers(self.count)))
        self._harness.write(batch)

    def now(self) -> dict[bytes, int]:
        """How many versions of each key there are."""
        return {key: len(found) for key, found in self.written.items()}

    def _value(self, key: bytes, version: Version) -> bytes | None:
        if version is None:
            return None
        name, region = version
        return self._harness.encode(self._record | {"credit_code": key.decode(), "name": name, "region": region})

    def faults(self, seen: Seen, granted: Mapping[bytes, int], region: str | None = None) -> dict[bytes, str]:
        """What is wrong with a clear share, by key. granted: `now()` of when it was granted; region: its scope."""
        found = {}
        for key, versions in self.written.items():
            shown = [
                version[0] if version is not None and region in (None, version[1]) else None
                for version in versions[max(0, granted.get(key, 0) - 1) :]
            ]
            wrong = fault(seen.get(key, []), shown)
            if wrong is not None:
                found[key] = wrong
        found.update((key, "an unknown key") for key in seen.keys() - self.written.keys())
        return found


def told(versions: list[Version], region: str | None) -> list[str | None]:
    """What a grantee of the first hour has to see of one key, exactly."""
    seen: list[str | None] = []
    for version in versions:
        if version is not None and region in (None, version[1]):
            seen.append(version[0])
        elif seen and seen[-1] is not None:
            seen.append(None)
    return seen


def by_key(received: Iterable[tuple[bytes, dict[str, Any] | None]]) -> dict[bytes, list[str | None]]:
    """What was received of each key."""
    found: dict[bytes, list[str | None]] = {}
    for key, record in received:
        found.setdefault(key, []).append(None if record is None else record["name"])
    return found

"""As many records of each record type as wanted, each with a key of its own: generated rows under running numbers.

The other values are those of the generated registers, so that sizes and rules are what departments have. Persons that
come of it have identifiers of a city that was never assigned.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from exchange.catalogue.model import Catalogue
from exchange.connect.declare import Record, Source
from exchange.connect.find import find
from exchange.demo.province.people import NEVER_ASSIGNED_CITY
from exchange.demo.province.registers import Kind, Row, generate
from exchange.identifiers import credit_code, licence_id, resident_id
from exchange.names import RecordType

_PROVINCE_OF: Final = 2_000
"""Residents and companies of which the rows are taken."""
SOURCES: Final[Mapping[RecordType, str]] = {
    RecordType("population.resident"): "public-security.residents",
    RecordType("population.birth"): "health.births",
    RecordType("population.death"): "health.deaths",
    RecordType("population.marriage"): "civil-affairs.marriages",
    RecordType("legal-entity.registration"): "market-regulation.registrations",
    RecordType("e-licence.licence"): "market-regulation.licences",
    RecordType("credit.permit"): "market-regulation.permits",
    RecordType("credit.penalty"): "market-regulation.penalties",
    RecordType("credit.dishonest-debtor"): "high-court.dishonest-debtors",
    RecordType("natural-resources.real-estate-right"): "natural-resources.real-estate-rights",
    RecordType("macro-economy.indicator"): "statistics.indicators",
}
"""Every record type, and the source whose rows are taken."""


class Distinct:
    """Records of every type. The same numbers give the same records."""

    def __init__(self, catalogue: Catalogue) -> None:
        codes = {str(slug): one.credit_code for slug, one in catalogue.departments.items()}
        self._rows = generate(_PROVINCE_OF, codes, Kind(dirty=False)).rows

    def records(self, record_type: RecordType, number: int, first: int = 0) -> Iterator[Record]:
        """`number` records (at most 98,901 of a person's) from the running number `first` on."""
        name = SOURCES[record_type]
        source = find(name).declaration
        assert isinstance(source, Source)
        rows, numbered = self._rows[name], _NUMBERED[record_type]
        for serial in range(first, first + number):
            record = source.map(rows[serial % len(rows)])
            yield record | numbered(record, serial)


def _person(record: Record, serial: int) -> Row:
    """A resident of another county with the same day of birth."""
    county, sequence = divmod(serial, 999)
    body = f"{NEVER_ASSIGNED_CITY}{county + 1:02d}{record['resident_id'][6:14]}{sequence + 1:03d}"
    return {"resident_id": body + resident_id.check_character(body)}


def _company(_record: Record, serial: int) -> Row:
    body = f"91340100T{serial:08d}"
    return {"credit_code": body + credit_code.check_character(body)}


def _licence(record: Record, serial: int) -> Row:
    definer, issuer, _, version, _ = record["licence_id"].removeprefix(f"{licence_id.ROOT}.").split(".")
    parts = (definer, issuer, f"N{serial:012d}", version)
    return {"licence_id": ".".join((licence_id.ROOT, *parts, licence_id.check_character("".join(parts))))}


def _field(name: str, form: str) -> Callable[[Record, int], Row]:
    return lambda record, serial: {name: form.format(serial, record[name])}


_NUMBERED: Final[Mapping[str, Callable[[Record, int], Row]]] = {
    "population.resident": _person,
    "population.birth": _field("certificate_number", "Y{:09d}"),
    "population.death": _person,
    "population.marriage": _field("certificate_number", "J349901-2020-{:06d}"),
    "legal-entity.registration": _company,
    "e-licence.licence": _licence,
    "credit.permit": _field("document_number", "{1}之{0}"),
    "credit.penalty": _field("document_number", "{1}之{0}"),
    "credit.dishonest-debtor": _field("case_number", "（2026）皖9901执{}号"),
    "natural-resources.real-estate-right": _field("unit_number", "349902002003GB00001F{:08d}"),
    "macro-economy.indicator": _field("indicator_code", "N{:08d}"),
}
"""What makes the key of a record its own."""

"""Births, marriages and deaths of generated families, as each department's own tables hold them.

A row is a dictionary of the columns that are not null; `connectors/<department>/source.sql` says what they mean.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from exchange.demo.province.people import NEVER_ASSIGNED_CITY, Death, Resident
from exchange.identifiers import credit_code, organisation_code

Row = dict[str, Any]
Family = Sequence[Resident]

_YEAR: Final = timedelta(days=365)
_CHILDREN: Final = ("20", "30")
_REMARRIED: Final = "22"
_AGE_OF_MARRIAGE: Final = 22
_BIRTHS_OF_THE_LAST: Final = 6 * _YEAR
_CREMATED, _CANCELLED, _MISTAKEN = 0.8, 0.9, 0.02
"""Shares of the certified deaths that the other sources know of, and of the reports that were a mistake."""


@dataclass(frozen=True, slots=True)
class ThreeSources:
    """The same deaths as three departments know them: not each of them knows all."""

    certified: list[Row]
    """`deaths` of health."""
    cremations: list[Row]
    """`cremations` of civil affairs."""
    cancellations: list[Row]
    """`death_cancellations` of the police."""


def office_code(number: int) -> str:
    """The credit code of a made-up public office: `11 3499nn`, an organisation code `EYnnnnnn`, check characters."""
    body = f"EY{number:06d}"
    code = f"11{NEVER_ASSIGNED_CITY}{number % 99 + 1:02d}{body}{organisation_code.check_character(body)}"
    return code + credit_code.check_character(code)


def births(families: Iterable[Family], today: date) -> Iterator[Row]:
    """A certificate for every child of the last years that lives with its mother."""
    serial = 0
    for family in families:
        parents = {one.sex: one for one in family if one.spouse_id}
        mother, father = parents.get("2"), parents.get("1")
        for child in family:
            if mother is None or child.relation_to_head not in _CHILDREN:
                continue
            if today - child.birth_date > _BIRTHS_OF_THE_LAST:
                continue
            serial += 1
            yield _birth(serial, child, mother, father, today)


def _birth(serial: int, child: Resident, mother: Resident, father: Resident | None, today: date) -> Row:
    row: Row = {
        "certificate_number": f"Y3499{serial:05d}",
        "name": child.name,
        "sex": child.sex,
        "birth_date": child.birth_date,
        "birth_time": f"{serial % 24:02d}:{serial * 7 % 60:02d}",
        "health_status": "10",
        "birth_region": child.birth_region or child.household_region,
        "birth_place": "3" if serial % 40 == 0 else "1",
        "institution_name": "安徽省云溪医院",
        "institution_code": office_code(1),
        "mother_name": mother.name,
        "mother_id": mother.resident_id,
        "mother_nationality": "CHN",
        "mother_address": mother.household_address,
        "issued": min(child.birth_date + timedelta(days=3 + serial % 20), today),
    }
    if father is not None:
        row |= {"father_name": father.name, "father_id": father.resident_id, "father_nationality": "CHN"}
    return row


def marriages(families: Iterable[Family], random: Random, today: date) -> Iterator[Row]:
    """The registration of every couple that lives together; one in fifty was annulled."""
    for serial, family in enumerate(families, start=1):
        couple = {one.sex: one for one in family if one.spouse_id}
        if len(couple) == 2:
            yield _marriage(serial, couple["1"], couple["2"], random, today)


def _marriage(serial: int, husband: Resident, wife: Resident, random: Random, today: date) -> Row:
    of_age = max(husband.birth_date, wife.birth_date) + _AGE_OF_MARRIAGE * _YEAR
    registered = min(of_age + timedelta(days=random.randint(0, 3000)), today)
    prior = "40" if husband.marital_status == _REMARRIED else "10"
    row: Row = {
        "certificate_number": f"J{NEVER_ASSIGNED_CITY}{serial % 99 + 1:02d}-{registered.year}-{serial % 1_000_000:06d}",
        "event": "1",
        "registered": registered,
        "authority_name": "云溪区民政局婚姻登记处",
        "authority_code": office_code(2),
        "region": husband.household_region,
    }
    for side, person in (("husband", husband), ("wife", wife)):
        row |= {
            f"{side}_name": person.name,
            f"{side}_id": person.resident_id,
            f"{side}_birth_date": person.birth_date,
            f"{side}_nationality": "CHN",
            f"{side}_prior_status": prior,
            f"{side}_education": random.choice(("21", "31", "60", "70")),
        }
    if serial % 50 == 0:
        row["annulled"] = min(registered + timedelta(days=random.randint(30, 400)), today)
    return row


def three_sources(deaths: Iterable[Death], random: Random, today: date) -> ThreeSources:
    """What health certified, and of these what the funeral service and the police know, a few with their recall."""
    found = ThreeSources([], [], [])
    for number, death in enumerate(deaths, start=1):
        later = min(death.registered_at + timedelta(days=random.randint(1, 30)), today)
        mistaken = later if random.random() < _MISTAKEN else None
        found.certified.append(_certified(death if mistaken is None else death.recalled(mistaken)))
        if random.random() < _CREMATED:
            found.cremations.append(_cremation(number, death, mistaken))
        if random.random() < _CANCELLED:
            found.cancellations.append(_cancellation(death, mistaken))
    return found


def _certified(death: Death) -> Row:
    return _known(asdict(death))


def _cremation(number: int, death: Death, mistaken: date | None) -> Row:
    return _known(
        {
            "cremation_number": f"3499-{number:08d}",
            "funeral_home": "云溪殡仪馆",
            "deceased_id": death.resident_id,
            "deceased_name": death.name,
            "deceased_sex": death.sex,
            "died_on": death.death_date,
            "certificate_number": death.certificate_number,
            "cremated_on": death.registered_at,
            "mistaken_since": mistaken,
        }
    )


def _cancellation(death: Death, restored: date | None) -> Row:
    return _known(
        {
            "resident_id": death.resident_id,
            "name": death.name,
            "sex": death.sex,
            "died_on": death.death_date,
            "cancelled_on": death.registered_at,
            "restored_on": restored,
        }
    )


def pensions(residents: Iterable[Resident], today: date) -> Iterator[Row]:
    """The pensions that human resources pays: to everybody of sixty years and more."""
    for number, one in enumerate(residents):
        since = one.birth_date + 60 * _YEAR
        if since <= today:
            yield {"resident_id": one.resident_id, "since": since, "monthly": 1800 + number % 40 * 50}


def _known(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if value is not None}

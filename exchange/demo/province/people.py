"""Generated residents, deaths and companies, as departments' databases would hold them. A seed always gives the same.

Nobody living has any of these identifiers. Resident ids and credit codes carry a county of city 99 of Anhui (`349901`
to `349999`). No edition of GB/T 2260 has ever assigned a city 99 there
(`tests/unit/demo/test_identifiers_of_generated.py` looks it up in the table of historic codes of python-stdnum), so
they are valid by their check characters and by province, and belong to nobody. Households are registered in counties
that exist, in streets that do not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, islice
from random import Random
from typing import Final

from exchange.demo.province import fiction
from exchange.identifiers import credit_code, organisation_code, resident_id

NEVER_ASSIGNED_CITY: Final = "3499"
"""The first four digits of every generated identifier."""
TODAY: Final = date(2026, 6, 30)
"""The last day on which anything generated happens, unless told otherwise."""

_COUNTIES_OF_NOWHERE: Final = 99
_MALE: Final = "1"
_FEMALE: Final = "2"
_SINGLE, _MARRIED, _REMARRIED, _WIDOWED, _DIVORCED = "10", "21", "22", "30", "40"
_ADULT: Final = 22
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Resident:
    """A row of the household register. Columns are the fields of `population.resident`."""

    resident_id: str
    name: str
    former_name: str | None
    sex: str
    ethnic_group: str
    birth_date: date
    birth_region: str | None
    household_region: str
    household_address: str
    household_id: str
    relation_to_head: str
    household_type: str | None
    current_address: str | None
    marital_status: str
    spouse_id: str | None
    moved_in: date | None
    moved_from_region: str | None
    cancelled: date | None = None
    cancel_reason: str | None = None
    death_date: date | None = None

    def after(self, death: "Death") -> "Resident":
        """The row when the household register has learnt of the death."""
        return replace(self, cancelled=death.registered_at, cancel_reason="1", death_date=death.death_date)


@dataclass(frozen=True, slots=True)
class Death:
    """A row of reported deaths. Columns are the fields of `population.death`."""

    provider_code: str
    resident_id: str
    name: str
    sex: str | None
    death_date: date
    death_place: str | None
    cause_class: str | None
    source: str
    certificate_number: str | None
    registered_at: date
    reversed: bool = False
    reversed_at: date | None = None
    confidence: str | None = "1"

    def recalled(self, on: date) -> "Death":
        """The row when the report was recalled on that day."""
        return replace(self, reversed=True, reversed_at=on)


@dataclass(frozen=True, slots=True)
class Company:
    """A row of the company register. Columns are the fields of `legal-entity.registration`."""

    credit_code: str
    name: str
    entity_type: str | None
    established: date
    legal_representative: str | None
    capital_text: str | None
    capital_amount: Decimal | None
    capital_currency: str | None
    business_scope: str | None
    region: str
    address: str | None
    status: str
    registration_authority: str
    authority_code: str
    approved: date | None
    revoked: date | None
    old_number: str | None


class Population:
    """Generated rows of one seed. Each call of a method begins anew: the first 10 of 1,000 are the 10 of 10."""

    def __init__(self, seed: int = 1, today: date = TODAY) -> None:
        self._seed = seed
        self._today = today

    def residents(self, number: int) -> list[Resident]:
        """That many residents, family by family."""
        return list(islice((one for family in self.families() for one in family), number))

    def families(self) -> Iterator[list[Resident]]:
        """Households without end, the head first."""
        register = _Register(self._random("families"), self._today)
        for number in count(1):
            yield register.family(number)

    def deaths(self, residents: Iterable[Resident], provider_code: str, share: float = 0.02) -> Iterator[Death]:
        """Deaths of about that share of `residents`, the old before the young, as `provider_code` reports them."""
        random = self._random("deaths")
        for number, resident in enumerate(residents, start=1):
            age = (self._today - resident.birth_date) // _YEAR
            if random.random() < share * (0.2 + (age / 50) ** 2):
                yield self._death(random, resident, provider_code, number)

    def _death(self, random: Random, resident: Resident, provider_code: str, number: int) -> Death:
        born_at_the_latest = max(resident.birth_date, self._today - _YEAR)
        died = _day_between(random, born_at_the_latest, self._today)
        return Death(
            provider_code=provider_code,
            resident_id=resident.resident_id,
            name=resident.name,
            sex=resident.sex,
            death_date=died,
            death_place=random.choice(("1", "1", "1", "2", "3", "4", None)),
            cause_class=random.choice(("1", "1", "1", "2", "5", None)),
            source="1",
            certificate_number=f"3499-{died.year}-{number:08d}",
            registered_at=_day_between(random, died, min(died + timedelta(days=20), self._today)),
        )

    def companies(self, number: int, authority_code: str, authority: str = "安徽省市场监督管理局") -> list[Company]:
        """That many companies, registered by the authority with that credit code."""
        random = self._random("companies")
        return [self._company(random, serial, authority_code, authority) for serial in range(number)]

    def _company(self, random: Random, serial: int, authority_code: str, authority: str) -> Company:
        county, city, district = random.choice(fiction.COUNTIES)
        word, scope = random.choice(fiction.TRADES)
        brand = "".join(random.sample(fiction.BRANDS, 3))
        established = _day_between(random, date(1980, 1, 1), self._today)
        status, revoked = "1", None
        if random.random() < 0.06:
            status, revoked = random.choice("34"), _day_between(random, established, self._today)
        text, amount, currency = _capital(random)
        return Company(
            credit_code=_company_code(random, serial),
            name=f"{city.removesuffix('市')}{brand}{word}有限公司",
            entity_type=random.choice(("有限责任公司", "有限责任公司", "股份有限公司", "集体所有制", None)),
            established=established,
            legal_representative=_name(random, random.choice((_MALE, _FEMALE))),
            capital_text=text,
            capital_amount=amount,
            capital_currency=currency,
            business_scope=scope,
            region=county[:4] + "00",
            address=f"安徽省{city}{district}{_street(random)}",
            status=status,
            registration_authority=authority,
            authority_code=authority_code,
            approved=_day_between(random, established, self._today) if random.random() < 0.7 else None,
            revoked=revoked,
            old_number=f"3499{serial:011d}" if established.year < 2015 else None,
        )

    def _random(self, what: str) -> Random:
        return Random(f"{self._seed}/{what}")  # noqa: S311 - rows to play with, no secrets


class _Register:
    """Makes families and sees to it that no resident id is given twice."""

    def __init__(self, random: Random, today: date) -> None:
        self._random = random
        self._today = today
        self._given: dict[str, int] = {}

    def family(self, number: int) -> list[Resident]:
        """A household: one person, a couple, a couple with children, or three generations."""
        random = self._random
        county, city, district = random.choice(fiction.COUNTIES)
        house = _House(county, f"安徽省{city}{district}{_street(random)}", f"{county}{number:08d}")
        age = random.randint(_ADULT, 88)
        head = self._person(house, "02", age, random.choice((_MALE, _FEMALE)), _SINGLE)
        if random.random() < 0.2:
            status = _WIDOWED if age > 70 else random.choice((_SINGLE, _DIVORCED))
            return [replace(head, marital_status=status)]
        wife_or_husband = ("12", _FEMALE) if head.sex == _MALE else ("11", _MALE)
        partner = self._person(house, wife_or_husband[0], age + random.randint(-1, 6), wife_or_husband[1], _SINGLE)
        status = random.choice((_MARRIED, _MARRIED, _MARRIED, _REMARRIED))
        family = [
            replace(head, marital_status=status, spouse_id=partner.resident_id),
            replace(partner, marital_status=status, spouse_id=head.resident_id),
        ]
        return family + self._children(house, age) + self._parents(house, age)

    def _children(self, house: "_House", age: int) -> list[Resident]:
        random = self._random
        ages = [age - random.randint(23, 35) for _ in range(random.choice((0, 1, 1, 2)))]
        return [
            self._person(house, "20" if sex == _MALE else "30", years, sex, _SINGLE)
            for years in sorted((one for one in ages if 0 <= one < _ADULT + 8), reverse=True)
            for sex in random.choice((_MALE, _FEMALE))
        ]

    def _parents(self, house: "_House", age: int) -> list[Resident]:
        if age > 60 or self._random.random() < 0.7:
            return []
        relation, sex = self._random.choice((("51", _MALE), ("52", _FEMALE)))
        return [self._person(house, relation, age + self._random.randint(23, 32), sex, _WIDOWED)]

    def _person(self, house: "_House", relation: str, age: int, sex: str, status: str) -> Resident:
        random = self._random
        born = _day_between(random, self._today - (age + 1) * _YEAR, self._today - age * _YEAR)
        moved = random.random() < 0.15
        return Resident(
            resident_id=self._resident_id(born, sex),
            name=_name(random, sex),
            former_name=_name(random, sex) if random.random() < 0.03 else None,
            sex=sex,
            ethnic_group="01" if random.random() < 0.97 else random.choice(("02", "03", "06", "11", "15")),
            birth_date=born,
            birth_region=house.county if random.random() < 0.9 else None,
            household_region=house.county,
            household_address=house.address,
            household_id=house.number,
            relation_to_head=relation,
            household_type="1",
            current_address=f"{house.address[:-1]}旁{random.randint(1, 99)}室" if random.random() < 0.1 else None,
            marital_status=status,
            spouse_id=None,
            moved_in=_day_between(random, born, self._today) if moved else None,
            moved_from_region=random.choice(fiction.COUNTIES)[0] if moved else None,
        )

    def _resident_id(self, born: date, sex: str) -> str:
        """A new id: the sequence is odd for men, even for women."""
        while True:
            county = self._random.randint(1, _COUNTIES_OF_NOWHERE)
            place = f"{NEVER_ASSIGNED_CITY}{county:02d}{born:%Y%m%d}"
            number = self._given.get(place + sex, 0)
            if number < 499:
                break
        self._given[place + sex] = number + 1
        body = f"{place}{2 * number + (1 if sex == _MALE else 2):03d}"
        return body + resident_id.check_character(body)


@dataclass(frozen=True, slots=True)
class _House:
    county: str
    address: str
    number: str


def _company_code(random: Random, serial: int) -> str:
    """A credit code `91 3499nn`, organisation code `EXnnnnnn` and both check characters, different for each serial."""
    body = f"EX{serial % 1_000_000:06d}"
    county = (serial // 1_000_000 + random.randint(0, 8) * 11) % _COUNTIES_OF_NOWHERE + 1
    code = f"91{NEVER_ASSIGNED_CITY}{county:02d}{body}{organisation_code.check_character(body)}"
    return code + credit_code.check_character(code)


def _capital(random: Random) -> tuple[str | None, Decimal | None, str | None]:
    if random.random() < 0.25:
        return None, None, None
    weights = [weight for _, _, weight in fiction.CAPITAL_NOTATIONS]
    words, currency, _ = random.choices(fiction.CAPITAL_NOTATIONS, weights)[0]
    thousands = Decimal(random.choice((5, 30, 73, 100, 505, 2000, 12500))) / 10
    return words.format(thousands), (thousands * 10_000).quantize(Decimal("0.01")), currency


def _name(random: Random, sex: str) -> str:
    """A surname and one or two characters: never fewer than two characters."""
    given = fiction.GIVEN_MALE if sex == _MALE else fiction.GIVEN_FEMALE
    return random.choice(fiction.SURNAMES) + "".join(random.choices(given, k=random.choice((1, 2, 2))))


def _street(random: Random) -> str:
    road = random.choice(fiction.ROADS)
    return f"{road}{random.randint(1, 999)}号{random.randint(1, 30)}幢{random.randint(101, 2805)}室"


def _day_between(random: Random, first: date, last: date) -> date:
    return first + timedelta(days=random.randint(0, max(0, (last - first).days)))

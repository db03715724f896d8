"""The registers of a believable small province, generated so that they fit together, with a stated part of dirty rows.

Children have birth certificates that name the mother of their household, couples a marriage, the dead up to three
reports, companies licences, permits and penalties, families dwellings, and the court has sealed those of debtors.
The same seed and size give the same rows. Nobody living has any of the identifiers (`exchange.demo.province.people`).

Every 200th row of a register is dirty, from its hundredth on, in the same way for each register: `FAULTS` says how.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from random import Random
from typing import TYPE_CHECKING, Any, Final

from exchange.demo.province import estate, figures, life, trade
from exchange.demo.province.dirt import wrong_check
from exchange.demo.province.people import TODAY, Company, Population, Resident

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = dict[str, Any]

DIRTY_EVERY: Final = 200
"""One row in so many is dirty."""
_FIRST_DIRTY: Final = 99
_DEATHS_OF_RESIDENTS: Final = 0.05
_QUARTERS: Final = 6

MARKET: Final = "market-regulation"
TABLES: Final[Mapping[str, str]] = {
    f"{MARKET}.registrations": "registrations",
    f"{MARKET}.permits": "permits",
    f"{MARKET}.penalties": "penalties",
    f"{MARKET}.licences": "licences",
    "public-security.residents": "residents",
    "public-security.deaths": "death_cancellations",
    "health.deaths": "deaths",
    "health.births": "births",
    "civil-affairs.cremations": "cremations",
    "civil-affairs.marriages": "marriages",
    "ecology-and-environment.penalties": "penalties",
    "high-court.dishonest-debtors": "dishonest_debtors",
    "natural-resources.real-estate-rights": "real_estate_rights",
    "statistics.indicators": "indicators",
    "data-resources.licences": "licences",
}
"""The table that each source reads (`connectors/<department>/source.sql`)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in the dirty rows of a register, and the code with which admission refuses them."""

    column: str
    spoil: Callable[[Any], Any]
    code: str


def _word(word: str) -> Callable[[Any], Any]:
    return lambda _value: word


FAULTS: Final[Mapping[str, Fault]] = {
    f"{MARKET}.registrations": Fault("credit_code", wrong_check, "E_CREDIT_CODE_CHECK_DIGIT"),
    f"{MARKET}.permits": Fault("status", _word("有效"), "E_CODE_UNKNOWN"),
    f"{MARKET}.penalties": Fault("kind", _word("罚款"), "E_CODE_UNKNOWN"),
    f"{MARKET}.licences": Fault("status", _word("1"), "E_CODE_UNKNOWN"),
    "public-security.residents": Fault("ethnic_group", _word("99"), "E_CODE_UNKNOWN"),
    "public-security.deaths": Fault("sex", _word("男"), "E_CODE_UNKNOWN"),
    "health.deaths": Fault("source", _word("77"), "E_CODE_UNKNOWN"),
    "health.births": Fault("certificate_number", lambda number: number[1:], "E_FIELD_FORM"),
    "civil-affairs.cremations": Fault("deceased_id", wrong_check, "E_RESIDENT_ID_CHECK_DIGIT"),
    "civil-affairs.marriages": Fault("husband_nationality", _word("156"), "E_CODE_UNKNOWN"),
    "ecology-and-environment.penalties": Fault("kind", _word("罚款"), "E_CODE_UNKNOWN"),
    "high-court.dishonest-debtors": Fault("debtor_kind", _word("自然人"), "E_CODE_UNKNOWN"),
    "natural-resources.real-estate-rights": Fault("right_kind", _word("房屋所有权"), "E_CODE_UNKNOWN"),
    "statistics.indicators": Fault("period", lambda period: f"{period[:5]}5", "E_FIELD_FORM"),
    "data-resources.licences": Fault("status", _word("1"), "E_CODE_UNKNOWN"),
}
"""By source connector."""


@dataclass(frozen=True, slots=True)
class Registers:
    """Rows of every register, dictionaries of the columns that are not null."""

    rows: dict[str, list[Row]]
    """By source connector."""
    dirty: dict[str, int]
    """Number of dirty rows by source connector; admission refuses them with the code of `FAULTS`."""
    pensions: list[Row] = field(default_factory=list)
    """Pensions that human resources pays."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of province it is."""

    registered: bool = True
    """Whether half of the records are companies of the register; else all are residents, and the companies that others
    know are of another register."""
    dirty: bool = True
    seed: int = 1
    today: date = TODAY
    """The day from which periods of publication count; people are the same on every day."""


def generate(records: int, codes: Mapping[str, str], kind: Kind | None = None) -> Registers:
    """Registers of `records` residents and companies, and what happened to them.

    codes: credit code of each department by its slug.
    """
    kind = kind or Kind()
    population = Population(kind.seed)
    number = records // 2
    families = _families(population, records - number if kind.registered else records)
    residents = [one for family in families for one in family]
    companies = population.companies(number, codes[MARKET])
    rows = _of_people(population, families, residents, codes)
    rows |= _of_companies(companies, residents, codes, kind.today)
    rows["natural-resources.real-estate-rights"] = _estate(families, companies, rows["high-court.dishonest-debtors"])
    rows["statistics.indicators"] = list(figures.indicators(_QUARTERS, codes["statistics"], _random("figures"), TODAY))
    if not kind.registered:
        rows[f"{MARKET}.registrations"] = []
    dirty = {name: _spoil(rows[name], FAULTS[name]) if kind.dirty else 0 for name in TABLES}
    return Registers({connector: rows[connector] for connector in TABLES}, dirty, list(life.pensions(residents, TODAY)))


def _families(population: Population, number: int) -> list[list[Resident]]:
    """Whole families, the last one as far as `number` goes."""
    families: list[list[Resident]] = []
    left = number
    for family in population.families():
        if left <= 0:
            break
        families.append(family[:left])
        left -= len(family)
    return families


def _of_people(
    population: Population, families: list[list[Resident]], residents: list[Resident], codes: Mapping[str, str]
) -> dict[str, list[Row]]:
    random = _random("people")
    reported = list(population.deaths(residents, codes["health"], _DEATHS_OF_RESIDENTS))
    deaths = life.three_sources(reported, random, TODAY)
    gone = {row["resident_id"] for row in deaths.cancellations if "restored_on" not in row}
    dead = {death.resident_id: death for death in reported if death.resident_id in gone}
    register = (one.after(dead[one.resident_id]) if one.resident_id in dead else one for one in residents)
    return {
        "public-security.residents": _rows(register),
        "public-security.deaths": deaths.cancellations,
        "health.deaths": deaths.certified,
        "health.births": list(life.births(families, TODAY)),
        "civil-affairs.cremations": deaths.cremations,
        "civil-affairs.marriages": list(life.marriages(families, random, TODAY)),
    }


def _of_companies(
    companies: list[Company], residents: list[Resident], codes: Mapping[str, str], today: date
) -> dict[str, list[Row]]:
    random = _random("companies")
    market = trade.Office(codes[MARKET], "安徽省市场监督管理局", "市监")
    ecology = trade.Office(codes["ecology-and-environment"], "安徽省生态环境厅", "环")
    data = trade.Office(codes["data-resources"], "安徽省数据资源管理局", "数")
    permitted = list(trade.permits(companies, market, random, today))
    return {
        f"{MARKET}.registrations": _rows(companies),
        f"{MARKET}.permits": [permit for permit, _ in permitted],
        f"{MARKET}.licences": [*trade.business_licences(companies, market), *(licence for _, licence in permitted)],
        f"{MARKET}.penalties": list(trade.penalties(companies, market, trade.MARKET, random, today)),
        "ecology-and-environment.penalties": list(trade.penalties(companies, ecology, trade.ECOLOGY, random, today)),
        "data-resources.licences": list(trade.data_licences(companies, data, today)),
        "high-court.dishonest-debtors": list(trade.debtors(residents, companies, today)),
    }


def _estate(families: list[list[Resident]], companies: list[Company], debtors: list[Row]) -> list[Row]:
    random = _random("estate")
    cases = {row["debtor_resident_id"]: row for row in debtors if "debtor_resident_id" in row}
    homes = list(estate.dwellings(families, cases, random, TODAY))
    return homes + list(estate.factories(companies, len(families) + 1, random, TODAY))


def _spoil(rows: list[Row], fault: Fault) -> int:
    spoiled = rows[_FIRST_DIRTY::DIRTY_EVERY]
    for row in spoiled:
        row[fault.column] = fault.spoil(row[fault.column])
    return len(spoiled)


def _rows(made: Iterable["DataclassInstance"]) -> list[Row]:
    return [{name: value for name, value in asdict(one).items() if value is not None} for one in made]


def _random(what: str) -> Random:
    return Random(what)  # noqa: S311 - rows to play with, no secrets

"""Rights in real estate of generated families and companies: dwellings with joint owners, factories, sealed ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from exchange.demo.province.life import Family, office_code
from exchange.demo.province.people import NEVER_ASSIGNED_CITY, Company

Row = dict[str, Any]
_YEAR: Final = timedelta(days=365)
_OWNERS: Final = 0.7
_CENT: Final = Decimal("0.01")


def dwellings(families: Iterable[Family], cases: Mapping[str, Row], random: Random, today: date) -> Iterator[Row]:
    """The dwelling of seven in ten families; a couple holds it jointly.

    cases: executions by the resident id of the debtor, whose dwelling the court has sealed.
    """
    for serial, family in enumerate(families, start=1):
        if random.random() >= _OWNERS:
            continue
        head, *others = family
        partner = next((one for one in others if one.resident_id == head.spouse_id), None)
        row = _right(serial, head.household_region, random, today) | {
            "location": head.household_address,
            "building_area": Decimal(random.randint(4500, 18000)).scaleb(-2),
            "land_use": "城镇住宅用地",
            "building_use": "11",
            "holder_name": head.name,
            "holder_kind": "1",
            "holder_resident_id": head.resident_id,
            "co_ownership": "0" if partner is None else "1",
        }
        if partner is not None:
            row["co_holders"] = partner.name
        case = cases.get(head.resident_id)
        if case is not None:
            row |= {"sealed": True, "sealing_authority": case["court_name"], "sealing_document": case["case_number"]}
            row["sealed_until"] = today + 2 * _YEAR
        yield row


def factories(companies: Sequence[Company], first: int, random: Random, today: date) -> Iterator[Row]:
    """The factory of one company in forty. first: the serial of the first one, behind those of the dwellings."""
    for serial, company in enumerate(companies[::40], start=first):
        yield _right(serial, company.region, random, today) | {
            "location": company.address or "安徽省",
            "building_area": Decimal(random.randint(50_000, 900_000)).scaleb(-2),
            "land_use": "工业用地",
            "building_use": "21",
            "holder_name": company.name,
            "holder_kind": "2",
            "holder_credit_code": company.credit_code,
            "co_ownership": "0",
        }


def _right(serial: int, region: str, random: Random, today: date) -> Row:
    registered = today - timedelta(days=random.randint(1, 6000))
    granted = registered - 5 * _YEAR
    county = serial % 99 + 1
    mortgaged = random.random() < 0.3
    row: Row = {
        "unit_number": f"{NEVER_ASSIGNED_CITY}{county:02d}002003GB{serial % 100_000:05d}F{serial:08d}",
        "certificate_number": f"皖（{registered.year}）云溪区不动产权第{serial:07d}号",
        "region": region,
        "land_area": (Decimal(random.randint(100_000, 3_000_000)) * _CENT).quantize(_CENT),
        "right_kind": "4",
        "right_nature": "102",
        "right_from": granted,
        "right_until": granted + 70 * _YEAR,
        "registered": registered,
        "status": "1",
        "mortgaged": mortgaged,
        "sealed": False,
        "objection": False,
        "advance_notice": False,
        "authority_name": "云溪区不动产登记中心",
        "authority_code": office_code(4),
    }
    return row | ({"mortgage_until": today + 20 * _YEAR} if mortgaged else {})

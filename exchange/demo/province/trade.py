"""Licences, permits, penalties and dishonest debtors of generated companies and people: one story in many registers.

A permit and the licence that goes with it bear the same number; who is punished holds a company or lives in a
household; a company whose licence was revoked has the penalty that says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from exchange.demo.province.life import office_code
from exchange.demo.province.people import Company, Resident
from exchange.identifiers import licence_id

Row = dict[str, Any]

_DEFINER: Final = "11100000EXCH900170"
"""A made-up body of the centre that defines kinds of licences."""
_YEAR: Final = timedelta(days=365)
_IN_BEING: Final = "1"
_DIGEST: Final = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@dataclass(frozen=True, slots=True)
class Office:
    """A department that decides: its credit code and name, and the word before the numbers of its documents."""

    code: str
    name: str
    word: str


def identifier(kind: str, issuer: str, serial: str, version: int = 1) -> str:
    """The identifier of an electronic licence of `kind` (three digits)."""
    body = (f"{_DEFINER}{kind}", issuer, serial, f"{version:03d}")
    check = licence_id.check_character("".join(body))
    return ".".join((licence_id.ROOT, *body, check))


def business_licences(companies: Iterable[Company], office: Office) -> Iterator[Row]:
    """The business licence of every second company."""
    for serial, company in enumerate(companies, start=1):
        if serial % 2:
            continue
        in_being = company.status == _IN_BEING
        row = _licence(office, "001", f"B{serial:012d}", "营业执照", (company.name, company.credit_code))
        row |= {
            "number": company.credit_code,
            "issued": company.approved or company.established,
            "valid_from": company.established,
            "status": "01" if in_being else "07",
            "operation": "01" if in_being else "05",
        }
        yield row if in_being else row | {"status_changed": company.revoked}


def data_licences(companies: Sequence[Company], office: Office, today: date) -> Iterator[Row]:
    """Certificates of registered data resources, of one company in fifty."""
    for serial, company in enumerate(companies[::50], start=1):
        row = _licence(office, "901", f"D{serial:08d}", "数据资源登记证书", (company.name, company.credit_code))
        issued = today - timedelta(days=serial % 300)
        yield row | {"number": f"皖数登{serial:06d}", "issued": issued, "valid_from": issued, "status": "01"}


def permits(companies: Iterable[Company], office: Office, random: Random, today: date) -> Iterator[tuple[Row, Row]]:
    """Permit and licence of the companies that need one: those that deal in food, and one in twenty of the others."""
    for serial, company in enumerate(companies, start=1):
        if "食品" not in company.name and serial % 20:
            continue
        decided = today - timedelta(days=random.randint(10, 900))
        until = decided + 5 * _YEAR
        number = f"JY13499{serial:07d}"
        permit = _decision(office, company, decided) | {
            "document_number": f"皖{office.word}许〔3499〕第{serial:06d}号",
            "document_name": "准予行政许可决定书",
            "kind": "1",
            "certificate_name": "食品经营许可证",
            "certificate_number": number,
            "content": company.business_scope or "预包装食品销售",
            "valid_from": decided,
            "valid_until": until,
            "status": "1",
            "expires_at": until,
        }
        licence = _licence(office, "022", f"F{serial:012d}", "食品经营许可证", (company.name, company.credit_code))
        licence |= {"number": number, "issued": decided, "valid_from": decided, "valid_until": until, "status": "01"}
        yield permit, licence


@dataclass(frozen=True, slots=True)
class Violation:
    """What is punished, with a fine in ten thousands, and for how long it is disclosed."""

    words: str
    basis: str
    kind: str
    disclosure_class: str
    days: int
    """Of disclosure, from the decision."""


MARKET: Final = (
    Violation("生产经营标签不符合规定的食品", "食品安全法 第一百二十五条第一款第（二）项", "22", "2", 365),
    Violation("发布虚假广告", "广告法 第五十五条第一款", "21", "2", 365),
    Violation("销售不合格产品", "产品质量法 第四十九条", "23", "3", 1095),
)
ECOLOGY: Final = (
    Violation("超标排放大气污染物", "大气污染防治法 第九十九条第（二）项", "21", "3", 1095),
    Violation("未依法取得排污许可证排放污染物", "排污许可管理条例 第三十三条第（一）项", "42", "3", 1095),
)


def penalties(
    companies: Sequence[Company], office: Office, violations: Sequence[Violation], random: Random, today: date
) -> Iterator[Row]:
    """Penalties of some six in a hundred companies, all of them still disclosed on the day after `today`."""
    for serial, company in enumerate(companies, start=1):
        if random.random() >= 0.06:
            continue
        violation = random.choice(violations)
        decided = today - timedelta(days=random.randint(1, 180))
        fine = Decimal(random.choice((5, 15, 30, 100))) / 10
        yield _decision(office, company, decided) | {
            "document_number": f"皖{office.word}处罚〔3499〕{serial}号",
            "violation": violation.words,
            "facts": f"检查发现：{violation.words}",
            "basis": violation.basis,
            "kind": violation.kind,
            "content": f"罚款{fine}万元",
            "fine": fine.quantize(Decimal("0.000001")),
            "disclosure_class": violation.disclosure_class,
            "repair_from": decided + timedelta(days=violation.days // 4 if violation.disclosure_class == "2" else 365),
            "repair_state": random.choice("00001"),
            "expires_at": decided + timedelta(days=violation.days),
        }


def debtors(residents: Sequence[Resident], companies: Sequence[Company], today: date) -> Iterator[Row]:
    """Dishonest debtors: one adult in eighty and, each in a case with its representative's name, companies."""
    adults = [one for one in residents if one.birth_date <= today - 22 * _YEAR]
    for serial, person in enumerate(adults[::80], start=1):
        published = today - timedelta(days=serial % 300)
        yield _case(serial, published) | {
            "debtor_name": person.name,
            "debtor_kind": "2",
            "debtor_sex": person.sex,
            "debtor_resident_id": person.resident_id,
            "obligation": "偿还借款本金12万元及利息",
            "unperformed_part": "借款本金12万元及利息",
            "region": person.household_region,
        }
    for serial, company in enumerate(companies[::100], start=len(adults)):
        row = _case(serial, today - timedelta(days=serial % 300)) | {
            "debtor_name": company.name,
            "debtor_kind": "1",
            "debtor_credit_code": company.credit_code,
            "obligation": "支付货款80万元",
            "unperformed_part": "货款80万元",
            "region": company.region,
        }
        yield row | ({"legal_representative": company.legal_representative} if company.legal_representative else {})


def _case(serial: int, published: date) -> Row:
    return {
        "case_number": f"（{published.year}）皖9901执{serial}号",
        "debtor_number": "1",
        "court_name": "云溪区人民法院",
        "court_code": office_code(3),
        "filed": published - timedelta(days=90),
        "basis_number": f"（{published.year - 1}）皖9901民初{serial}号",
        "basis_authority": "云溪区人民法院",
        "performance": "1",
        "conduct": "145"[serial % 3],
        "published": published,
        "expires_at": published + 2 * _YEAR,
    }


def _decision(office: Office, company: Company, decided: date) -> Row:
    row: Row = {
        "provider_code": office.code,
        "subject_name": company.name,
        "subject_kind": "1",
        "subject_credit_code": company.credit_code,
        "decided": decided,
        "authority_name": office.name,
        "authority_code": office.code,
        "region": "340000",
    }
    return row | ({"legal_representative": company.legal_representative} if company.legal_representative else {})


def _licence(office: Office, kind: str, serial: str, name: str, holder: tuple[str, str]) -> Row:
    return {
        "licence_id": identifier(kind, office.code, serial),
        "type_code": f"{_DEFINER}{kind}",
        "type_name": name,
        "name": name,
        "holder_name": holder[0],
        "holder_code_type": "001",
        "holder_credit_code": holder[1],
        "issuer_name": office.name,
        "issuer_code": office.code,
        "issuer_region": "340000",
        "operation": "01",
        "layout_digest": _DIGEST,
    }

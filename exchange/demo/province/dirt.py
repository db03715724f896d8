"""Dirt as real registers have it: wrong check characters, lower case, unknown codes, capital in words, gaps."""

import csv
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.demo.province.people import Company
from exchange.identifiers.credit_code import ALPHABET

Sql = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement in a department's database: `sql(department, statement, *parameters)`."""

COLUMNS = (
    "企业名称",
    "统一社会信用代码",
    "注册日期",
    "企业类型",
    "法人代表",
    "注册资金",
    "经营范围",
    "所在省份",
    "地区",
    "注册地址",
)
"""The head of the file that the public register hands out."""


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """What was written."""

    path: Path
    rows: int
    wrong_codes: tuple[str, ...]
    """Credit codes with a wrong check character."""
    unmapped: int
    """Rows whose day does not exist."""


def wrong_check(code: str) -> str:
    """An identifier with another check character: one of the same alphabet, and wrong."""
    return code[:-1] + ALPHABET[(ALPHABET.index(code[-1]) + 1) % 10]


def write_register(path: Path, companies: Sequence[Company]) -> RegisterFile:
    """A file of registrations as the public register hands it out, compressed.

    Of the companies, two get a wrong check character, one a code in mixed case and one a day that does not exist.
    """
    rows = [_cells(company) for company in companies]
    wrong = []
    for row in rows[5:7]:
        row[1] = wrong_check(row[1])
        wrong.append(row[1])
    rows[7][1] = rows[7][1].lower()
    rows[8][2] = "1989-02-30"
    rows[9][6] += "\u3000"
    rows[10][6] = ""
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([list(COLUMNS), *rows])
    return RegisterFile(path, len(rows), tuple(wrong), 1)


def _cells(company: Company) -> list[str]:
    city = company.name[: 3 if company.name.startswith("马鞍山") else 2]
    return [
        company.name,
        company.credit_code,
        company.established.isoformat(),
        company.entity_type or "N/A",
        company.legal_representative or "N/A",
        company.capital_text or "N/A",
        company.business_scope or "N/A",
        "安徽",
        city,
        company.address or "N/A",
    ]


def spill(sql: Sql) -> dict[str, list[str]]:
    """Put dirt into departments' registers that hold generated rows; what admission must refuse, by table.

    Two companies and a resident have a wrong check character, a death has a code that no standard knows; a further
    company has its code in lower case, which is no fault. Names become long enough to be found in a text.
    """
    sql("public-security", "UPDATE residents SET name = name || '·' || name || '·' || name")
    sql("health", "UPDATE deaths SET name = name || '·' || name || '·' || name")
    sql(
        "market-regulation",
        "UPDATE registrations SET legal_representative = repeat(legal_representative || '·', 3)"
        " WHERE legal_representative IS NOT NULL",
    )
    codes = [code for (code,) in sql("market-regulation", "SELECT credit_code FROM registrations ORDER BY 1 LIMIT 3")]
    wrong = [wrong_check(code) for code in codes[:2]]
    for old, new in zip(codes, (*wrong, codes[2].lower()), strict=True):
        sql("market-regulation", "UPDATE registrations SET credit_code = %s WHERE credit_code = %s", new, old)
    ((resident,),) = sql("public-security", "SELECT min(resident_id) FROM residents")
    stranger = resident[:-1] + ("1" if resident[-1] != "1" else "2")
    sql("public-security", "UPDATE residents SET resident_id = %s WHERE resident_id = %s", stranger, resident)
    ((dead,),) = sql("health", "SELECT min(resident_id) FROM deaths")
    sql("health", "UPDATE deaths SET source = '77' WHERE resident_id = %s", dead)
    return {"registrations": wrong, "residents": [stranger], "deaths": [dead]}

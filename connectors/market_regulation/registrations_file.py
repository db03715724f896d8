"""Registrations, from the CSV file that the public register hands out, with its real dirt."""

from datetime import date

from connectors.market_regulation import capital
from connectors.market_regulation.cities import city_code
from exchange.connect import Record, Row, Unmapped, csv_file, source, text

_AUTHORITY = {"registration_authority": "安徽省市场监督管理局", "authority_code": "11340000EXCH00018B"}
_IN_BEING = "1"


@source("legal-entity.registration", csv_file(key="统一社会信用代码"))
def registrations_file(row: Row) -> Record:
    words = text(row["注册资金"])
    amount = capital.parse(words) if words else None
    return {
        "credit_code": text(row["统一社会信用代码"]),
        "name": text(row["企业名称"]),
        "entity_type": text(row["企业类型"]),
        "established": _day(row["注册日期"]),
        "legal_representative": text(row["法人代表"]),
        "capital_text": words,
        "capital_amount": amount and amount.amount,
        "capital_currency": amount and amount.currency,
        "business_scope": text(row["经营范围"]),
        "region": _region(row["地区"]),
        "address": text(row["注册地址"]),
        "status": _IN_BEING,  # the file holds no others
        **_AUTHORITY,
    }


def _day(value: str) -> date:
    try:
        return date.fromisoformat(text(value) or "")
    except ValueError:
        raise Unmapped("established", "not a day of the form YYYY-MM-DD") from None


def _region(value: str) -> str:
    code = city_code(text(value))
    if code is None:
        raise Unmapped("region", "not a city of the province")
    return code

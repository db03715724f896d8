"""Registered capital, as registers have written it over the decades: a number, a unit and a currency in words.

Seen in a real register: `12(万元)`, `1,200.5000(万元)`, `12万人民币`, `12(万)`, `12(万人民币元)`,
`12万元人民币`, `12万人民币元`, `12(万元人民币)`, `12万元`, and in brackets the same with `美元`, `香港元`,
`欧元`, `日元`, `新加坡元`. The unit is ten thousand (万), a hundred million (亿) or none. Words without a currency
mean the yuan.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from unicodedata import normalize

_UNITS = {"": 1, "万": 10_000, "亿": 100_000_000, "万亿": 1_000_000_000_000}
_CURRENCIES = {
    "CNY": ("", "元", "圆", "人民币", "人民币元", "元人民币", "元整", "人民币元整", "CNY", "RMB"),
    "USD": ("美元", "美金", "USD"),
    "HKD": ("香港元", "港元", "港币", "港币元", "元港币", "HKD"),
    "MOP": ("澳门元", "澳门币", "MOP"),
    "TWD": ("新台币", "新台币元", "台币", "台湾元", "TWD"),
    "EUR": ("欧元", "EUR"),
    "JPY": ("日元", "日圆", "日本元", "JPY"),
    "KRW": ("韩元", "韩圆", "韩国元", "KRW"),
    "SGD": ("新加坡元", "新加坡币", "新元", "SGD"),
    "GBP": ("英镑", "GBP"),
    "AUD": ("澳大利亚元", "澳元", "AUD"),
    "CAD": ("加拿大元", "加元", "CAD"),
    "NZD": ("新西兰元", "NZD"),
    "CHF": ("瑞士法郎", "CHF"),
    "SEK": ("瑞典克朗", "SEK"),
    "DKK": ("丹麦克朗", "DKK"),
    "NOK": ("挪威克朗", "NOK"),
    "MYR": ("马来西亚林吉特", "林吉特", "MYR"),
    "THB": ("泰铢", "泰国铢", "THB"),
}
_CODE_OF = {words: code for code, notations in _CURRENCIES.items() for words in notations}
_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_WORDS = r"(?P<unit>万亿|[万亿])?(?P<currency>[^\d(),.]*)"
_CAPITAL = re.compile(rf"{_NUMBER}(?:\({_WORDS}\)|{_WORDS.replace('unit', 'unit_').replace('currency', 'currency_')})")
_CENT = Decimal("0.01")
_TOO_LARGE = Decimal(10) ** 18
_MAX_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Capital:
    """An amount in whole units of a currency, exact to the hundredth. Its repr holds no amount."""

    amount: Decimal
    currency: str
    """ISO 4217 (GB/T 12406)."""

    def __repr__(self) -> str:
        return f"Capital({self.currency})"


def parse(words: str) -> Capital | None:
    """The capital that `words` state, or None when they cannot be read without a doubt.

    A comma separates thousands and nothing else. Amounts of 10^18 and more, or finer than a hundredth, are not read.
    """
    if len(words) > _MAX_CHARACTERS:
        return None
    found = _CAPITAL.fullmatch("".join(normalize("NFKC", words).split()))
    if found is None:
        return None
    unit = found["unit"] or found["unit_"] or ""
    currency = _CODE_OF.get(found["currency"] or found["currency_"] or "")
    amount = Decimal(found["number"].replace(",", "")) * _UNITS[unit]
    if currency is None or amount >= _TOO_LARGE or amount != amount.quantize(_CENT):
        return None
    return Capital(amount.quantize(_CENT), currency)

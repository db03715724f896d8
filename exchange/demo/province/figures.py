"""Figures of the made-up statistics of a province and its cities, by quarter."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

Row = dict[str, Any]

PROVINCE: Final = "340000"
CITIES: Final = tuple(f"34{city:02d}00" for city in (*range(1, 9), *range(10, 14), *range(15, 19)))
"""The codes of the 16 cities of Anhui (GB/T 2260)."""
_INDICATORS: Final = (
    ("GDP001", "地区生产总值", "亿元", "本行政区域内全部常住单位", "1"),
    ("IND001", "规模以上工业增加值", "亿元", "年主营业务收入2000万元及以上的工业法人单位", "2"),
    ("INV001", "固定资产投资", "亿元", "计划总投资500万元及以上的项目，不含农户", "1"),
    ("RET001", "社会消费品零售总额", "亿元", "全部批发零售和住宿餐饮单位", "1"),
    ("FIN001", "一般公共预算收入", "亿元", "本级和下级政府", "1"),
    ("ELE001", "全社会用电量", "万千瓦时", "全部用户", "9"),
)
_PLACES: Final = Decimal("0.0001")
_PERCENT: Final = Decimal("0.01")


def indicators(quarters: int, code: str, random: Random, today: date) -> Iterator[Row]:
    """The figures of the last `quarters` whole quarters; every second city's of the oldest ones were revised.

    code: the credit code of the statistics bureau.
    """
    for back in range(1, quarters + 1):
        year, quarter = _quarter(today, back)
        published = min(date(year, 3 * quarter, 28) + timedelta(days=24), today)
        for number, region in enumerate((PROVINCE, *CITIES)):
            revision = 1 if back > 2 and number % 2 else 0
            for name in _INDICATORS:
                yield _figure(name, region, random) | {
                    "period": f"{year}Q{quarter}",
                    "source_code": code,
                    "published": published,
                    "revision": revision,
                    "revision_kind": "3" if revision else "2",
                }


def _quarter(today: date, back: int) -> tuple[int, int]:
    """Year and number of the whole quarter that lies so many before the one of `today`."""
    index = 4 * today.year + (today.month - 1) // 3 - back
    return index // 4, index % 4 + 1


def _figure(indicator: tuple[str, str, str, str, str], region: str, random: Random) -> Row:
    code, name, unit, calibre, basis = indicator
    size = 40_000 if region == PROVINCE else 2_500
    return {
        "indicator_code": code,
        "region": region,
        "period_kind": "Q",
        "indicator_name": name,
        "value": (Decimal(random.randint(size // 2, size)) + Decimal(random.randint(0, 99)) / 100).quantize(_PLACES),
        "unit": unit,
        "cumulative": True,
        "growth": (Decimal(random.randint(-300, 1200)) / 100).quantize(_PERCENT),
        "calibre": calibre,
        "price_basis": basis,
        "source_name": "安徽省统计局",
    }

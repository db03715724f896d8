"""The 16 cities of Anhui (GB/T 2260)."""

CITIES = {
    "合肥": "340100",
    "芜湖": "340200",
    "蚌埠": "340300",
    "淮南": "340400",
    "马鞍山": "340500",
    "淮北": "340600",
    "铜陵": "340700",
    "安庆": "340800",
    "黄山": "341000",
    "滁州": "341100",
    "阜阳": "341200",
    "宿州": "341300",
    "六安": "341500",
    "亳州": "341600",
    "池州": "341700",
    "宣城": "341800",
}
"""Name without 市, to code."""


def city_code(name: str | None) -> str | None:
    """The code of a city by its name, with or without 市; None for any other name."""
    return CITIES.get(name.removesuffix("市")) if name else None

"""What the parts of a catalogue are called, in both languages: for pages and for catalogues in other forms."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from exchange.catalogue.model import Level, Sharing, UpdateCycle

_ARTICLES: Final = re.compile(r"\s*art\. (\d+(?:(?:, ?|[–-])\d+)*)")


class Text(NamedTuple):
    """The same in Chinese and in English."""

    zh: str
    en: str


class Form(NamedTuple):
    """What the values of a field look like, and the XML Schema type that comes closest."""

    name: Text
    xsd: str


REGISTRIES: Final[Mapping[str, Text]] = {
    "population": Text("人口基础信息", "Population"),
    "legal-entity": Text("法人单位基础信息", "Legal entities"),
    "e-licence": Text("电子证照基础信息", "E-licences"),
    "credit": Text("社会信用基础信息", "Social credit"),
    "natural-resources": Text("自然资源和空间地理基础信息", "Natural resources"),
    "macro-economy": Text("宏观经济基础信息", "Macro-economy"),
}
"""The base registries, as the guide and the plan call them."""
SHARINGS: Final[Mapping[Sharing, Text]] = {
    Sharing.UNCONDITIONAL: Text("无条件共享", "unconditional"),
    Sharing.CONDITIONAL: Text("有条件共享", "conditional"),
    Sharing.NOT_SHARED: Text("不予共享", "not shared"),
}
CYCLES: Final[Mapping[UpdateCycle, Text]] = {
    UpdateCycle.REAL_TIME: Text("实时", "in real time"),
    UpdateCycle.DAILY: Text("每日", "daily"),
    UpdateCycle.WEEKLY: Text("每周", "weekly"),
    UpdateCycle.MONTHLY: Text("每月", "monthly"),
    UpdateCycle.QUARTERLY: Text("每季度", "quarterly"),
    UpdateCycle.YEARLY: Text("每年", "yearly"),
    UpdateCycle.OTHER: Text("其他", "other"),
}
LEVELS: Final[Mapping[Level, Text]] = {
    Level.PROVINCE: Text("省级", "province"),
    Level.CITY: Text("市级", "city"),
    Level.COUNTY: Text("县级", "county"),
}
IDENTIFIERS: Final[Mapping[str, Text]] = {
    "resident-id": Text("公民身份号码，含校验码", "resident identity number with check character"),
    "credit-code": Text("统一社会信用代码，含校验码", "unified social credit code with check character"),
    "organisation-code": Text("组织机构代码，含校验码", "organisation code with check character"),
    "licence-id": Text("电子证照标识，含校验位", "licence identifier with check character"),
    "region": Text("行政区划代码", "region code"),
}
"""What a field that is an identifier has to be."""

_TEXT: Final = Form(Text("字符型", "text"), "string")
_LOGICAL: Final[Mapping[str, Form]] = {
    "date": Form(Text("日期型", "date"), "date"),
    "timestamp-millis": Form(Text("日期时间型", "date and time"), "dateTime"),
    "timestamp-micros": Form(Text("日期时间型", "date and time"), "dateTime"),
}
_PRIMITIVE: Final[Mapping[str, Form]] = {
    "string": _TEXT,
    "boolean": Form(Text("逻辑型", "yes or no"), "boolean"),
    "int": Form(Text("整型", "whole number"), "integer"),
    "long": Form(Text("整型", "whole number"), "integer"),
    "float": Form(Text("浮点型", "number"), "double"),
    "double": Form(Text("双精度型", "number"), "double"),
    "bytes": Form(Text("通用型", "bytes"), "base64Binary"),
}
_STRUCTURE: Final = Form(Text("通用型", "structure"), "string")


def form_of(avro_type: Any) -> Form:
    """The form of a field by its Avro type as it stands in the schema; whether it may be null does not matter.

    The Chinese names are the data types of the catalogue guide of 2017.
    """
    if isinstance(avro_type, list):
        return form_of(next((one for one in avro_type if one != "null"), "string"))
    if not isinstance(avro_type, dict):
        return _PRIMITIVE.get(avro_type, _STRUCTURE)
    logical = avro_type.get("logicalType")
    if logical == "decimal":
        digits, scale = avro_type["precision"], avro_type.get("scale", 0)
        zh, en = f"数值型，{digits}位，小数{scale}位", f"number, {digits} digits, {scale} after the point"
        return Form(Text(zh, en), "decimal")
    if avro_type["type"] == "array":
        item = form_of(avro_type["items"]).name
        return Form(Text(f"列表（{item.zh}）", f"list of {item.en}"), "string")
    return _LOGICAL.get(str(logical)) or _PRIMITIVE.get(avro_type["type"], _STRUCTURE)


def source(text: str, laws: Mapping[str, str]) -> Text:
    """A standard or law in both languages: `法律 art. 8, 9` reads 法律第8、9条 in Chinese.

    laws: English titles by the Chinese ones; what has none keeps its Chinese title in English too.
    """
    english = text
    for title in sorted(laws, key=len, reverse=True):  # the title of a law may begin with that of another
        english = english.replace(f"{title} art.", f"{laws[title]}, art.").replace(title, laws[title])
    return Text(_ARTICLES.sub(lambda found: f"第{found[1].replace(', ', '、').replace(',', '、')}条", text), english)

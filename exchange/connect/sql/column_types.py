"""Kinds of columns, by the type codes that drivers give. Where there are none (SQLite), values are judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from exchange.connect.sql.statements import Limits


class ColumnType(StrEnum):
    """What the exchange has to know of a column's type."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BIT = "bit"
    DATE = "date"
    TIME = "time"
    """Date and time without zone."""
    ZONED = "zoned"
    """A moment."""
    PADDED = "padded"
    """A text of fixed length, filled up with spaces."""
    OTHER = "other"


_POSTGRESQL: Mapping[Any, ColumnType] = {
    16: ColumnType.BOOLEAN,
    20: ColumnType.INTEGER,
    21: ColumnType.INTEGER,
    23: ColumnType.INTEGER,
    1042: ColumnType.PADDED,
    1082: ColumnType.DATE,
    1114: ColumnType.TIME,
    1184: ColumnType.ZONED,
    1560: ColumnType.BIT,
    1700: ColumnType.DECIMAL,
}
"""By object id (PostgreSQL, pg_type.dat)."""
_MYSQL: Mapping[Any, ColumnType] = {
    0: ColumnType.DECIMAL,
    1: ColumnType.INTEGER,
    2: ColumnType.INTEGER,
    3: ColumnType.INTEGER,
    7: ColumnType.ZONED,
    8: ColumnType.INTEGER,
    9: ColumnType.INTEGER,
    10: ColumnType.DATE,
    12: ColumnType.TIME,
    16: ColumnType.BIT,
    246: ColumnType.DECIMAL,
    254: ColumnType.PADDED,
}
"""By number (MySQL and MariaDB, enum_field_types)."""
Storage = type[int] | type[str] | None
"""How the values of a column without a type of its own are kept: as whole numbers or as texts. None: not known yet."""


@dataclass(frozen=True, slots=True)
class Storages:
    """How the values of such columns are kept in most rows."""

    cursor: Storage = None
    withdrawn: Storage = None


_TYPES = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}
_MOST = 2**63 - 1
"""The greatest sequence."""


def type_of(dialect: str, code: Any) -> ColumnType:
    """The kind of a column by its driver's type code; OTHER where that is not known."""
    return _TYPES.get(dialect, {}).get(code, ColumnType.OTHER)


def types_told(dialect: str) -> bool:
    """Whether the driver says the types of columns; else values are judged."""
    return dialect in _TYPES


def untyped(dialect: str) -> bool:
    """Whether each value has a type and its column has none."""
    return dialect == "sqlite"


def storage_of(numbers: int, texts: int) -> Storage:
    """As what most of the values are kept that serve for a cursor. SQLite's fractions and blobs do not."""
    if not numbers and not texts:
        return None
    return int if numbers >= texts else str


def storage_limits(storage: Storage) -> Limits:
    """The values of a storage. SQLite orders numbers before texts, and texts before blobs."""
    return Limits("", b"") if storage is str else Limits(greatest="") if storage is int else Limits()


def cursor_limits(dialect: str, kind: ColumnType) -> Limits:
    """The cursor values that can be read and placed; rows beyond them are set aside."""
    if kind is ColumnType.DECIMAL:
        return Limits(greatest=_MOST)  # beyond are the infinities and NaN, too
    if kind not in (ColumnType.TIME, ColumnType.ZONED):
        return Limits()
    zone = UTC if kind is ColumnType.ZONED else None
    least = datetime.min.replace(tzinfo=zone)
    return Limits(least, datetime.max.replace(tzinfo=zone) if dialect == "postgresql" else None)

"""The column types of tables that a sink makes, for each database: every value of the share reads back as it was.

Keys are bounded where a database cannot index a text without a limit: admission takes keys of at most 512 bytes. They
are compared byte by byte, so that two keys that differ in case or in a blank at the end are two rows. InnoDB indexes at
most 3072 bytes (four for a character), SQL Server 900 (two), Oracle about 6400.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    Time,
    TypeDecorator,
    Unicode,
    Uuid,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import JSON, TypeEngine

from exchange.handover.layout import not_null

MAX_KEY_BYTES = 512
"""The longest key that admission takes."""
TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
"""A sink needs transactions."""
_INNODB_KEY_CHARACTERS = 768
_SQL_SERVER_KEY_CHARACTERS = 450
_MYSQL = ("mysql", "mariadb")
_DIGITS = {"mysql": (65, 30), "mariadb": (65, 30), "mssql": (38, 38), "oracle": (38, 38), "sqlite": (0, 0)}
"""The largest precision and scale of a decimal; SQLite has none at all and keeps it as text."""
_MYSQL_TEXT = mysql.MEDIUMTEXT(charset="utf8mb4")
_FRACTION = 6


class KeyText(TypeDecorator[str]):
    """Text in a key of so many columns of text."""

    impl = Text
    cache_ok = True

    def __init__(self, parts: int = 1) -> None:
        super().__init__()
        self.parts = parts

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The database's own type."""
        if dialect.name in _MYSQL:
            of_mariadb = dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False)
            collation = "utf8mb4_nopad_bin" if of_mariadb else "utf8mb4_0900_bin"
            length = min(MAX_KEY_BYTES, _INNODB_KEY_CHARACTERS // self.parts)
            return mysql.VARCHAR(length, charset="utf8mb4", collation=collation)
        if dialect.name == "mssql":
            return Unicode(_SQL_SERVER_KEY_CHARACTERS // self.parts, collation="Latin1_General_100_BIN2")
        return String(MAX_KEY_BYTES) if dialect.name == "oracle" else Text()


class Name(TypeDecorator[str]):
    """A name of the exchange or of the database's catalogue, in a key: of at most so many characters."""

    impl = Text
    cache_ok = True

    def __init__(self, characters: int = 128) -> None:
        super().__init__()
        self.characters = characters

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The database's own type; text where it was text before there were others."""
        if dialect.name in _MYSQL:
            return mysql.VARCHAR(self.characters, charset="utf8mb4", collation="utf8mb4_bin")
        return Text() if dialect.name in ("postgresql", "sqlite") else String(self.characters)


def moment() -> TypeEngine[Any]:
    """A moment in a table of the exchange's own; where the database keeps no zone, in UTC."""
    return DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=_FRACTION), "mysql", "mariadb")


def in_utc(found: datetime | None) -> datetime | None:
    """A moment that was read from such a column."""
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def long_text(dialect: Dialect) -> TypeEngine[Any]:
    """Text of any length."""
    return _MYSQL_TEXT if dialect.name in _MYSQL else Text()


def long_bytes(dialect: Dialect) -> TypeEngine[Any]:
    """Bytes of any length."""
    return mysql.MEDIUMBLOB() if dialect.name in _MYSQL else LargeBinary()


def column_type(avro: Any, dialect: Dialect) -> TypeEngine[Any]:
    """The column type for an Avro type; what has structure of its own becomes JSON."""
    kind = not_null(avro)
    logical = None if isinstance(kind, str) else kind.get("logicalType")
    if logical == "decimal":
        return _decimal(kind["precision"], kind.get("scale", 0), dialect)
    name = kind if isinstance(kind, str) else kind["type"]
    if logical in ("time-millis", "time-micros") and dialect.name == "oracle":  # which has no time of day
        return String(len("00:00:00.000000"))
    if logical in _LOGICAL:
        of_mysql = _LOGICAL_OF_MYSQL.get(logical)
        return of_mysql if of_mysql is not None and dialect.name in _MYSQL else _LOGICAL[logical]
    if name in ("string", "enum"):
        return long_text(dialect)
    if name in ("bytes", "fixed"):
        return long_bytes(dialect)
    return _PRIMITIVE.get(name) or JSON(none_as_null=True)


def _decimal(precision: int, scale: int, dialect: Dialect) -> TypeEngine[Any]:
    digits, behind = _DIGITS.get(dialect.name, (precision, scale))
    return Numeric(precision, scale) if precision <= digits and scale <= behind else long_text(dialect)


_PRIMITIVE: dict[str, TypeEngine[Any]] = {
    "int": Integer(),
    "long": BigInteger(),
    "float": Double(),
    "double": Double(),
    "boolean": Boolean(),
}
_LOGICAL: dict[str, TypeEngine[Any]] = {
    "date": Date(),
    "time-millis": Time(),
    "time-micros": Time(),
    "timestamp-millis": DateTime(timezone=True),
    "timestamp-micros": DateTime(timezone=True),
    "local-timestamp-millis": DateTime(),
    "local-timestamp-micros": DateTime(),
    "uuid": Uuid(),
}
_LOGICAL_OF_MYSQL: dict[str, TypeEngine[Any]] = {
    "uuid": mysql.CHAR(36, charset="ascii", collation="ascii_bin"),  # MariaDB's own type refuses unusual versions
    "time-millis": mysql.TIME(fsp=_FRACTION),
    "time-micros": mysql.TIME(fsp=_FRACTION),
    "timestamp-millis": mysql.DATETIME(fsp=_FRACTION),
    "timestamp-micros": mysql.DATETIME(fsp=_FRACTION),
    "local-timestamp-millis": mysql.DATETIME(fsp=_FRACTION),
    "local-timestamp-micros": mysql.DATETIME(fsp=_FRACTION),
}

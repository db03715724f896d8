"""A table as its database has it: the columns with what each can keep, read from the catalogue of the database.

PostgreSQL: pg_attribute, whose `atttypmod` holds length, precision and scale. MySQL and MariaDB:
information_schema.columns. SQLite: `PRAGMA table_xinfo`, and the affinity that follows from a declared type
(sqlite.org/datatype3.html, 3.1).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Table, inspect, select, text
from sqlalchemy.engine import Connection


class Form(StrEnum):
    """What kind of values a column keeps."""

    TEXT = "text"
    CHAR = "char"
    """Text of a fixed length: blanks at its end are not kept."""
    NUMERIC = "numeric"
    INTEGER = "integer"
    DOUBLE = "double"
    REAL = "real"
    """A binary fraction of 32 bits."""
    DATE = "date"
    MOMENT = "moment"
    """Date and time of day, with or without a zone."""
    TIME = "time"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    FIXED = "fixed"
    """Bytes of a fixed length."""
    UUID = "uuid"
    JSON = "json"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column of the table, and what it can keep."""

    name: str
    form: Form
    declared: str
    """Its type as a statement writes it."""
    plain: str
    """Its type without length, precision and scale."""
    nullable: bool
    given: bool
    """Whether the database itself gives a value where a row has none."""
    length: int | None = None
    """At most so many characters or bytes; None where the database has no such limit."""
    precision: int | None = None
    scale: int | None = None
    """Digits behind the point; None where the database keeps all."""
    fraction: int = 6
    """Digits of a second."""
    zoned: bool = False

    @property
    def must_say_something(self) -> bool:
        """Whether a row cannot be written without a value for the column."""
        return not self.nullable and not self.given


def describe(connection: Connection, table: Table) -> tuple[FoundColumn, ...]:
    """The columns of a table, in its order; none when there is no such table."""
    return _READERS[connection.dialect.name](connection, table)


def hold(connection: Connection, table: Table) -> None:
    """Keep the definition of the table as it is until the end of the transaction, and check constraints at once.

    A constraint that is checked at the commit only would refuse a whole batch and not say for which record.
    """
    if connection.dialect.name == "postgresql":
        name = quoted(connection, table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN ROW EXCLUSIVE MODE; SET CONSTRAINTS ALL IMMEDIATE")
    elif connection.dialect.name != "sqlite":  # there the transaction has locked the whole database
        connection.execute(select(1).select_from(table).limit(0))


def constraints(connection: Connection, table: Table) -> tuple[str, ...]:
    """What else the table demands of a row, in a form that is only good for comparing."""
    found = inspect(connection)
    kinds = (found.get_foreign_keys, found.get_unique_constraints, found.get_indexes, found.get_check_constraints)
    return tuple(repr(kind(table.name, schema=table.schema)) for kind in kinds)


def quoted(connection: Connection, table: Table) -> str:
    """The table's name as a statement writes it."""
    return connection.dialect.identifier_preparer.format_table(table)


# PostgreSQL

_POSTGRESQL = text(
    "SELECT a.attname, b.typname, b.typtype, format_type(b.oid, -1), format_type(a.atttypid, a.atttypmod),"
    " CASE WHEN d.typtype = 'd' THEN d.typtypmod ELSE a.atttypmod END,"
    " NOT a.attnotnull, a.atthasdef OR a.attidentity <> ''"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type d ON d.oid = a.atttypid"
    " JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END"
    " WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_OF_POSTGRESQL = {
    "text": Form.TEXT, "varchar": Form.TEXT, "citext": Form.TEXT, "bpchar": Form.CHAR, "numeric": Form.NUMERIC,
    "int2": Form.INTEGER, "int4": Form.INTEGER, "int8": Form.INTEGER, "float8": Form.DOUBLE, "float4": Form.REAL,
    "date": Form.DATE, "timestamp": Form.MOMENT, "timestamptz": Form.MOMENT, "time": Form.TIME,
    "bool": Form.BOOLEAN, "bytea": Form.BYTES, "uuid": Form.UUID, "json": Form.JSON, "jsonb": Form.JSON,
}  # fmt: skip
_TYPMOD_HEADER = 4
_SCALE_BITS, _SCALE_SIGN = 0x7FF, 0x400


def _postgresql(connection: Connection, table: Table) -> tuple[FoundColumn, ...]:
    rows = connection.execute(_POSTGRESQL, {"name": quoted(connection, table)})
    return tuple(_of_postgresql(*row) for row in rows)


def _of_postgresql(name: str, base: str, kind: str, *rest: Any) -> FoundColumn:
    plain, declared, typmod, nullable, given = rest
    form = Form.TEXT if kind == "e" else _OF_POSTGRESQL.get(base, Form.OTHER)
    limits: dict[str, Any] = {"zoned": base == "timestamptz"}
    if typmod >= 0 and form in (Form.TEXT, Form.CHAR):
        limits["length"] = typmod - _TYPMOD_HEADER
    elif typmod >= 0 and form is Form.NUMERIC:
        packed = typmod - _TYPMOD_HEADER
        limits["precision"] = packed >> 16
        limits["scale"] = ((packed & _SCALE_BITS) ^ _SCALE_SIGN) - _SCALE_SIGN
    elif typmod >= 0 and form in (Form.MOMENT, Form.TIME):
        limits["fraction"] = typmod
    return FoundColumn(name, form, declared, plain, nullable, given, **limits)


# MySQL and MariaDB

_MYSQL = text(
    "SELECT column_name, data_type, column_type, is_nullable, column_default, extra, character_maximum_length,"
    " numeric_precision, numeric_scale, datetime_precision FROM information_schema.columns"
    " WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name ORDER BY ordinal_position"
)
_OF_MYSQL = {
    **dict.fromkeys(("varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), Form.TEXT),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), Form.INTEGER),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob", "varbinary"), Form.BYTES),
    **dict.fromkeys(("datetime", "timestamp"), Form.MOMENT),
    "char": Form.CHAR, "decimal": Form.NUMERIC, "float": Form.REAL, "double": Form.DOUBLE, "date": Form.DATE,
    "time": Form.TIME, "binary": Form.FIXED, "json": Form.JSON, "uuid": Form.UUID,
}  # fmt: skip
_WITH_LENGTH = ("varchar", "char", "binary", "varbinary")


def _mysql(connection: Connection, table: Table) -> tuple[FoundColumn, ...]:
    rows = connection.execute(_MYSQL, {"schema": table.schema, "name": table.name})
    return tuple(_of_mysql(*row) for row in rows)


def _of_mysql(name: str, base: str, declared: str, *rest: Any) -> FoundColumn:
    nullable, default, extra, length, precision, scale, fraction = rest
    base = base.lower()
    form = Form.BOOLEAN if declared == "bit(1)" else _OF_MYSQL.get(base, Form.OTHER)
    return FoundColumn(
        name,
        form,
        declared,
        base,
        nullable == "YES",
        default is not None or bool(extra),
        length=length if base in _WITH_LENGTH else None,
        precision=precision,
        scale=scale if form is Form.NUMERIC else None,
        fraction=6 if fraction is None else fraction,
    )


# SQLite

_HIDDEN_PLAIN = 0
_NAMED = (
    ("DATETIME", Form.MOMENT), ("TIMESTAMP", Form.MOMENT), ("DATE", Form.DATE), ("TIME", Form.TIME),
    ("BOOL", Form.BOOLEAN), ("JSON", Form.JSON),
)  # fmt: skip
"""Declared types of numeric affinity that hold texts or flags, which that affinity leaves as they are."""
_AFFINITIES = (
    (r"INT", Form.INTEGER), (r"CHAR|CLOB|TEXT", Form.TEXT), (r"BLOB|^$", Form.BYTES), (r"REAL|FLOA|DOUB", Form.DOUBLE),
    (r"NUM|DEC", Form.DOUBLE),
)  # fmt: skip
"""A number of numeric affinity is an integer of 64 bits or a binary fraction."""


def _sqlite(connection: Connection, table: Table) -> tuple[FoundColumn, ...]:
    preparer = connection.dialect.identifier_preparer
    schema = f"{preparer.quote(table.schema)}." if table.schema else ""
    rows = connection.exec_driver_sql(f"PRAGMA {schema}table_xinfo({preparer.quote(table.name)})").all()
    return tuple(
        FoundColumn(
            row.name,
            _of_sqlite(row.type),
            row.type,
            row.type,
            not row.notnull,
            row.dflt_value is not None or _made(row),
        )
        for row in rows
    )


def _made(row: Any) -> bool:
    """A column that SQLite computes."""
    return bool(row.hidden != _HIDDEN_PLAIN)


def _of_sqlite(declared: str) -> Form:
    name = declared.upper()
    for start, form in _NAMED:
        if name.startswith(start):
            return form
    return next((form for pattern, form in _AFFINITIES if re.search(pattern, name)), Form.OTHER)


_READERS: dict[str, Callable[[Connection, Table], tuple[FoundColumn, ...]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mariadb": _mysql,
    "sqlite": _sqlite,
}

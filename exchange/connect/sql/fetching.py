"""How rows come over from the driver: fast, and a value that cannot be read costs its row, not its page.

A value that Python cannot hold is UNREADABLE in the row. What a driver does with one differs: psycopg raises for the
whole result, whose bytes are then read value by value; sqlite3 and PyMySQL are given decoders that do not raise.
"""

import codecs
from collections.abc import Callable
from typing import Any

from exchange.connect.sql.values import UNREADABLE

Values = tuple[Any, ...]
READS_ONLY = "exchange source, reads only"
"""How sessions of readers call themselves, so that they do not wait for each other."""
_CODEC = "exchange_utf8"


class _Texts:
    """Decodes texts, and notes when one was none. One thread at a time asks it for its pages."""

    spoilt = False

    def of_sqlite(self, data: bytes) -> Any:
        """The text, or UNREADABLE."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.spoilt = True
            return UNREADABLE


def prepare(connection: Any, dialect: str) -> None:
    """Make a connection of a driver ready for `fetch`."""
    if dialect == "postgresql":
        connection.prepare_threshold = None  # a prepared `SELECT *` fails when a column is added
        if connection.info.parameter_status("application_name") != READS_ONLY:
            connection.execute(f"SET application_name = '{READS_ONLY}'")
            connection.commit()
    elif dialect == "sqlite":
        connection.text_factory = _Texts().of_sqlite
    elif dialect in ("mysql", "mariadb") and connection.encoding == "utf8":
        connection.encoding = _CODEC


def fetch(cursor: Any, dialect: str, size: int | None) -> tuple[list[Values], bool]:
    """The next `size` rows (None: all), and whether there may be an UNREADABLE in them."""
    if dialect == "postgresql":
        return _of_psycopg(cursor, size)
    rows = list(cursor.fetchall() if size is None else cursor.fetchmany(size))
    if dialect == "sqlite":
        texts: _Texts = cursor.connection.text_factory.__self__
        spoilt, texts.spoilt = texts.spoilt, False
        return rows, spoilt
    if dialect in ("mysql", "mariadb"):
        return _of_pymysql(cursor, rows)
    return rows, False


def _of_psycopg(cursor: Any, size: int | None) -> tuple[list[Values], bool]:
    from psycopg import Error  # noqa: PLC0415 - only for PostgreSQL

    try:
        return (cursor.fetchall() if size is None else cursor.fetchmany(size)), False
    except Error as error:
        if error.sqlstate is not None or cursor.connection.closed:
            raise
    except (ValueError, OverflowError):
        pass
    return _value_by_value(cursor), True


def _value_by_value(cursor: Any) -> list[Values]:
    """The rows of the result that psycopg could not read at once."""
    from psycopg.adapt import Transformer  # noqa: PLC0415 - only for PostgreSQL

    result = cursor.pgresult
    loaders = Transformer(cursor.connection)
    columns: list[Callable[[Any], Any]] = [
        loaders.get_loader(result.ftype(at), result.fformat(at)).load for at in range(result.nfields)
    ]
    return [
        tuple(_loaded(load, result.get_value(row, at)) for at, load in enumerate(columns))
        for row in range(result.ntuples)
    ]


def _loaded(load: Callable[[Any], Any], data: Any) -> Any:
    if data is None:
        return None
    try:
        return load(data)
    except Exception:
        return UNREADABLE  # whatever a loader raises, it is about this value


def _of_pymysql(cursor: Any, rows: list[Values]) -> tuple[list[Values], bool]:
    """PyMySQL leaves a date that is none (`0000-00-00`) as a text, and gives a TIMESTAMP without its zone, UTC."""
    if not rows:
        return rows, False
    from exchange.connect.sql import pymysql_columns  # noqa: PLC0415 - an optional driver

    return pymysql_columns.mended(cursor.description, rows)


def _decode(data: Any, _errors: str = "strict") -> tuple[str, int]:
    """UTF-8; bytes that are none become lone surrogates, which no text from a database can hold otherwise."""
    try:
        return codecs.utf_8_decode(data, "strict", True)
    except UnicodeDecodeError:
        return codecs.utf_8_decode(data, "surrogateescape", True)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(codecs.utf_8_encode, _decode, name=_CODEC) if name == _CODEC else None


codecs.register(_find_codec)

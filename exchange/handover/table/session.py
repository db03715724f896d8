"""What a connection of a sink is set to before it writes: nothing is cut or rounded, and a transaction is one.

MySQL and MariaDB cut what is too long and say so in a warning only, unless their session is strict. Python's driver of
SQLite begins a transaction of its own at the first change, behind the savepoint that was to hold it.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

_STRICT = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION', time_zone = '+08:00'"
)
"""A TIMESTAMP holds an instant and takes it as a time of day in the session's zone: China's, as our values are."""


def keep_exact(engine: Engine) -> None:
    """Set each new connection of the engine so."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name in ("mysql", "mariadb"):
        event.listen(engine, "connect", _mysql)


def _mysql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_STRICT)


def _sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

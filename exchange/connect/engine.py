"""Connections to a department's database: sources read it here, sinks write it in `exchange.handover.table`."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from exchange.errors import ExchangeError

Address = str | Callable[[], str]
"""The address of a database as SQLAlchemy takes it, or what gives it: asked at each new connection."""

_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql", "sqlite": "pysqlite"}
"""The databases that tests read and write, with the drivers of the tests."""
_COMPILED = ("oracle", "mssql")
"""Databases whose statements are compiled in tests, and never run."""
_HOW_TO_TRY = (
    "the exchange is tried on PostgreSQL, MySQL, MariaDB and SQLite; to try another, add its name to"
    " exchange/connect/engine.py and run the tests of tests/unit/connect and tests/unit/handover on it"
)
_ZONE = {
    "postgresql": "SET TIME ZONE 'UTC'",
    "mysql": "SET time_zone = '+00:00'",
    "mariadb": "SET time_zone = '+00:00'",
}


def open_engine(address: Address) -> Engine:
    """An engine that keeps at most two connections and never puts values into errors or logs.

    Sessions are in UTC, whatever the zone of server and role. An address that is asked for again may have another
    password; while it cannot be read, the last one holds. Raises ExchangeError: E_SETTINGS for an address that is none,
    E_CONNECTOR for a database that is not tried.
    """
    try:
        url = _url(address)
        engine = create_engine(url, hide_parameters=True, pool_size=1, max_overflow=1, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError, TypeError, ValueError) as error:
        raise ExchangeError("E_SETTINGS", f"the address of the database: {type(error).__name__}") from None
    _refuse_other_versions(engine)
    event.listen(engine, "connect", _begin_session(engine))
    if not isinstance(address, str):
        event.listen(engine, "do_connect", _ask_again(address, url))
    return engine


def reason(error: SQLAlchemyError) -> str:
    """What went wrong, without statement and values: the kinds of the errors."""
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"


def _url(address: Address) -> URL:
    url = make_url(address if isinstance(address, str) else address())
    database, _, driver = url.drivername.partition("+")
    if database in _COMPILED:
        return url
    if database not in _DRIVERS:
        raise ExchangeError("E_CONNECTOR", f"{_known(database)}: {_HOW_TO_TRY}")
    if driver not in ("", _DRIVERS[database]):
        raise ExchangeError("E_CONNECTOR", f"{database} is read and written by the driver {_DRIVERS[database]} only")
    url = url.set(drivername=f"{database}+{_DRIVERS[database]}")
    if database == "postgresql" and "client_encoding" not in url.query:
        url = url.update_query_dict({"client_encoding": "utf8"})  # a database of SQL_ASCII would give bytes
    return url


def _known(database: str) -> str:
    """The name of a database in an address, if it is one: the text may be anything, also a password."""
    return database if database.isidentifier() and len(database) <= 32 else "this address"


def _ask_again(address: Callable[[], str], first: URL) -> Callable[..., None]:
    last = [first]

    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        try:
            url = _url(address())
        except (ExchangeError, SQLAlchemyError, ValueError):
            url = last[0]  # the file is being written
        if url.drivername != first.drivername:
            raise ExchangeError("E_SETTINGS", "the address of the database is that of another kind of database")
        last[0] = url
        if url != first:
            changed, changed_options = dialect.create_connect_args(url)
            arguments[:] = changed
            options.clear()
            options.update(changed_options)

    return connect


def _begin_session(engine: Engine) -> Callable[..., None]:
    statement = _ZONE.get(engine.dialect.name)

    def connected(connection: Any, _record: Any) -> None:
        if statement is not None:
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()
            connection.commit()

    return connected


def _refuse_other_versions(engine: Engine) -> None:
    """Kingbase, openGauss and others speak PostgreSQL's protocol; their versions tell that they are none of it."""
    dialect: Any = engine.dialect
    read = getattr(dialect, "_get_server_version_info", None)
    if dialect.name != "postgresql" or read is None:
        return

    def version(connection: Any) -> Any:
        said = str(connection.exec_driver_sql("SELECT pg_catalog.version()").scalar())
        if not said.startswith("PostgreSQL ") or "gauss" in said.lower():
            raise ExchangeError("E_CONNECTOR", f"the server's version is not one of PostgreSQL: {_HOW_TO_TRY}")
        return read(connection)

    dialect._get_server_version_info = version  # SQLAlchemy has no other place for it

"""Connections to a department's database: sources read it here, sinks write it in `exchange.handover.table`."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from exchange.errors import ExchangeError

Address = str | Callable[[], str]
"""The address of a database as SQLAlchemy takes it, or what gives it: asked at each new connection."""


def open_engine(address: Address) -> Engine:
    """An engine that keeps at most two connections and never puts values into errors or logs.

    An address that is asked for again may have another password. Raises ExchangeError(E_SETTINGS) for one that is none.
    """
    try:
        now = _spelt(address if isinstance(address, str) else address())
        engine = create_engine(now, hide_parameters=True, pool_size=1, max_overflow=1, pool_pre_ping=True)
        if not isinstance(address, str):
            event.listen(engine, "do_connect", _ask_again(address))
        return engine
    except (SQLAlchemyError, ImportError, TypeError) as error:
        raise ExchangeError("E_SETTINGS", f"the address of the database: {type(error).__name__}") from None


def _spelt(address: str) -> str:
    if address.startswith("postgresql://"):
        return address.replace("postgresql://", "postgresql+psycopg://", 1)
    return address


def _ask_again(address: Callable[[], str]) -> Callable[..., None]:
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        try:
            found = dialect.create_connect_args(make_url(_spelt(address())))
        except (ExchangeError, SQLAlchemyError):
            return  # the file is being written: the last one holds
        arguments[:] = found[0]
        options.update(found[1])

    return connect


def reason(error: SQLAlchemyError) -> str:
    """What went wrong, without statement and values: the kinds of the errors."""
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"

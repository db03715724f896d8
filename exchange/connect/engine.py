"""Connections to a department's database: sources read it here, sinks write it in `exchange.handover.table`."""

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from exchange.errors import ExchangeError


def open_engine(address: str) -> Engine:
    """An engine that keeps at most two connections and never puts values into errors or logs.

    Raises ExchangeError(E_SETTINGS) for an address that is none.
    """
    if address.startswith("postgresql://"):
        address = address.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return create_engine(address, hide_parameters=True, pool_size=1, max_overflow=1, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError, TypeError) as error:
        raise ExchangeError("E_SETTINGS", f"the address of the database: {type(error).__name__}") from None


def reason(error: SQLAlchemyError) -> str:
    """What went wrong, without statement and values: the kinds of the errors."""
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"

"""What an error of the department's database is to a sink: it is away, or the sink's declaration does not fit."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.errors import ExchangeError


@contextmanager
def reached(table: str) -> Iterator[None]:
    """Turn errors into ExchangeError: E_CONNECTOR for what waiting does not mend, E_SINK_UNREACHABLE for all else.

    What a row is refused for is not known here: two processes of one sink may meet in a table, and the second waits.
    """
    try:
        yield
    except SQLAlchemyError as error:
        fault = sort(error)
        code = "E_CONNECTOR" if fault.kind is Kind.DECLARATION else "E_SINK_UNREACHABLE"
        raise ExchangeError(code, f"{table}: {fault.detail}") from None

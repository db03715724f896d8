"""How it is said that a column would not keep a value as it is."""

from collections.abc import Callable
from typing import Any

from exchange.errors import ExchangeError
from exchange.handover.table.definition import FoundColumn

Convert = Callable[[Any], Any]
"""A value that is not None as the column takes it. Raises ExchangeError(E_APPLY) that names column and loss."""
Make = Callable[[FoundColumn, str], Convert | None]
"""What a column of a dialect needs; None when the driver takes the values as they are and nothing is lost."""


def lost(column: FoundColumn, what: str) -> ExchangeError:
    """A value that the column would not keep as it is."""
    return ExchangeError("E_APPLY", f"{column.name}: {what}")


def as_it_is(_: FoundColumn, __: str) -> None:
    """Nothing is lost, or the database says so itself."""
    return

"""What is handed to a table at once, and how it is said which of it the table refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exchange.handover.layout import Change
from exchange.names import GrantId


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one partition of a grant's share, in their order."""

    grant: GrantId
    partition: int
    changes: Sequence[Change]
    end: int
    """The offset behind the last record that was read, heartbeats and faulty records included."""
    at: datetime
    """The time of the application."""
    faulty: Mapping[int, bytes | None] = field(default_factory=dict)
    """Records before `end` that never became a change: offset and key."""
    reading: int = 1
    """Of which reading of the share this is a part."""


Refusal = tuple[int, str]
"""The offset of a record that could not be applied, and why; never a value."""
Report = Callable[[Sequence[Refusal]], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a row is marked with when it is seen."""

    grant: GrantId
    partition: int
    reading: int


@dataclass(slots=True)
class Made:
    """A change as the table takes it, one of very many. Its repr holds neither key nor value."""

    change: Change
    key: tuple[Any, ...]
    """The values of the key columns, as the driver takes them."""
    row: tuple[Any, ...] | None = None
    """Values, the key's included; None for a withdrawal."""
    columns: tuple[str, ...] = ()
    """The columns of the row: one object for all rows that have the same."""

    def __repr__(self) -> str:
        return f"Made(offset={self.change.offset})"


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that the table does not take, and why: kinds, codes and columns, never a value."""

    change: Change
    detail: str
    declared: bool = False
    """Whether the database named the statement or the table as the cause, and not what the record holds."""


@dataclass(frozen=True, slots=True)
class AppliedAgain:
    """What became of the records that were set aside."""

    applied: tuple[bytes, ...] = ()
    """Keys of the records that the table has taken."""
    waiting: int = 0
    """How many of the grant's records still wait."""
    replaced: tuple[bytes, ...] = ()
    """Keys whose waiting version gave way to a newer one since the last call: it is in the table, or waits itself."""

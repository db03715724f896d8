"""The history of a demand, packed: a ledger of a million events has a million entries, and each takes 24 bytes."""

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS: Final = 3
"""For each event: its sequence number, its moment in microseconds, and the numbers of its name and its actor."""
_BITS: Final = 31
_MASK: Final = (1 << _BITS) - 1


@dataclass(slots=True)
class HistoryEntry:
    """One event of a demand, as its history shows it."""

    seq: int
    event: str
    at: datetime
    actor: str


class _Names:
    """Names of events and actors by number. They are few, and every ledger of the process shares them."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []

    def number(self, name: str) -> int:
        known = self._numbers.get(name)
        return self._add(name) if known is None else known

    def name(self, number: int) -> str:
        return self._names[number]

    def _add(self, name: str) -> int:
        with self._adding:
            if name not in self._numbers:
                self._names.append(name)
                self._numbers[name] = len(self._names) - 1
            return self._numbers[name]


_names: Final = _Names()


class History:
    """The events of one demand, oldest first."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = array("q")

    def add(self, seq: int, event: str, at: datetime, actor: str) -> None:
        """Add the next event; its moment is aware."""
        since = at - _EPOCH
        moment = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        self._packed.extend((seq, moment, _names.number(event) << _BITS | _names.number(actor)))

    def __len__(self) -> int:
        return len(self._packed) // _NUMBERS

    def __iter__(self) -> Iterator[HistoryEntry]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> HistoryEntry:
        start = range(len(self))[index] * _NUMBERS
        seq, moment, said = self._packed[start : start + _NUMBERS]
        return HistoryEntry(
            seq, _names.name(said >> _BITS), _EPOCH + timedelta(microseconds=moment), _names.name(said & _MASK)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]

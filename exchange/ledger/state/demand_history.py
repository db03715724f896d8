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
    about: str = ""
    """What else its history says of it, in one of few texts: of a breach its cause and reason."""


class _Names(dict[str, int]):
    """Names of events and actors with their numbers. They are few, and every ledger of the process shares them."""

    def __init__(self) -> None:
        super().__init__()
        self._adding = threading.Lock()
        self.by_number: list[str] = []

    def __missing__(self, name: str) -> int:
        with self._adding:
            number = self.get(name)
            if number is None:
                number = len(self.by_number)
                self.by_number.append(name)
                self[name] = number
            return number


_names: Final = _Names()


class DemandHistory:
    """The events of one demand, oldest first."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = array("q")

    def add(self, seq: int, event: str, at: datetime, actor: str, about: str = "") -> None:
        """Add the next event; its moment is aware."""
        since = at - _EPOCH
        moment = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        self._packed.extend((seq, moment, _names[f"{event} {about}" if about else event] << _BITS | _names[actor]))

    def __len__(self) -> int:
        return len(self._packed) // _NUMBERS

    def __iter__(self) -> Iterator[HistoryEntry]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> HistoryEntry:
        start = range(len(self))[index] * _NUMBERS
        seq, moment, said = self._packed[start : start + _NUMBERS]
        (event, _, about), actor = _names.by_number[said >> _BITS].partition(" "), _names.by_number[said & _MASK]
        return HistoryEntry(seq, event, _EPOCH + timedelta(microseconds=moment), actor, about)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemandHistory) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]

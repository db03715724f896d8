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


def names_so_far() -> list[str]:
    """The names of events and actors, each at its number in this process."""
    return list(_names.by_number)


def numbers_here(names: list[str]) -> list[int] | None:
    """The numbers of names in this process; None when each has the number that it has in the list."""
    numbers = [_names[name] for name in names]
    return None if numbers == list(range(len(names))) else numbers


class DemandHistory:
    """The events of one demand, oldest first."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = array("q")

    def add(self, seq: int, event: str, at: datetime, actor: str) -> None:
        """Add the next event; its moment is aware."""
        since = at - _EPOCH
        moment = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        self._packed.extend((seq, moment, _names[event] << _BITS | _names[actor]))

    def packed(self) -> bytes:
        """Its bytes on this machine; names stand in them by the numbers of this process, see `names_so_far`."""
        return self._packed.tobytes()

    @classmethod
    def unpacked(cls, packed: memoryview, numbers: list[int] | None) -> "DemandHistory":
        """The history of such bytes. Raises ValueError or IndexError for others.

        numbers: those of this process, by those of the process that packed; None when they are the same.
        """
        history = cls()
        history._packed.frombytes(packed)
        if len(history._packed) % _NUMBERS:
            raise ValueError("a history is cut off")
        if numbers is not None:
            for at in range(_NUMBERS - 1, len(history._packed), _NUMBERS):
                said = history._packed[at]
                history._packed[at] = numbers[said >> _BITS] << _BITS | numbers[said & _MASK]
        return history

    def cut(self, length: int) -> None:
        """Forget every event behind the first `length` ones."""
        del self._packed[length * _NUMBERS :]

    def __len__(self) -> int:
        return len(self._packed) // _NUMBERS

    def __iter__(self) -> Iterator[HistoryEntry]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> HistoryEntry:
        start = range(len(self))[index] * _NUMBERS
        seq, moment, said = self._packed[start : start + _NUMBERS]
        event, actor = _names.by_number[said >> _BITS], _names.by_number[said & _MASK]
        return HistoryEntry(seq, event, _EPOCH + timedelta(microseconds=moment), actor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemandHistory) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]

"""The history of a demand, packed: a ledger of a million events has a million entries, and each takes 16 bytes."""

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS: Final = 2
"""For each event: its moment in microseconds; its sequence number with the numbers of its name and its actor."""
_NAME_BITS, _ACTOR_BITS = 12, 20
_SAID_BITS: Final = _NAME_BITS + _ACTOR_BITS
_SAID_MASK: Final = (1 << _SAID_BITS) - 1
_ACTOR_MASK: Final = (1 << _ACTOR_BITS) - 1


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

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._most = 1 << bits
        self._adding = threading.Lock()
        self.by_number: list[str] = []

    def __missing__(self, name: str) -> int:
        with self._adding:
            number = self.get(name)
            if number is None:
                number = len(self.by_number)
                if number == self._most:
                    raise OverflowError("more names than a history tells apart")
                self.by_number.append(name)
                self[name] = number
            return number


_event_names: Final = _Names(_NAME_BITS)
_actors: Final = _Names(_ACTOR_BITS)
Numbers = tuple[list[int], list[int]]
"""Of events and of actors."""


def names_so_far() -> tuple[list[str], list[str]]:
    """The names of events and of actors, each at its number in this process."""
    return list(_event_names.by_number), list(_actors.by_number)


def numbers_here(events: list[str], actors: list[str]) -> Numbers | None:
    """The numbers of names in this process; None when each has the number that it has in its list."""
    numbers = [_event_names[name] for name in events], [_actors[name] for name in actors]
    return None if all(one == list(range(len(one))) for one in numbers) else numbers


class DemandHistory:
    """The events of one demand, oldest first."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = array("q")

    def add(self, seq: int, event: str, at: datetime, actor: str, about: str = "") -> None:
        """Add the next event; its moment is aware. Raises OverflowError behind event 2,147,483,647."""
        named = f"{event} {about}" if about else event
        since = at - _EPOCH
        moment = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        self._packed.extend((moment, seq << _SAID_BITS | _event_names[named] << _ACTOR_BITS | _actors[actor]))

    def packed(self) -> bytes:
        """Its bytes on this machine; names stand in them by the numbers of this process, see `names_so_far`."""
        return self._packed.tobytes()

    @classmethod
    def unpacked(cls, packed: memoryview, numbers: Numbers | None) -> "DemandHistory":
        """The history of such bytes. Raises ValueError or IndexError for others.

        numbers: those of this process, by those of the process that packed; None when they are the same.
        """
        history = cls()
        history._packed.frombytes(packed)
        if len(history._packed) % _NUMBERS:
            raise ValueError("a history is cut off")
        if numbers is not None:
            events, actors = numbers
            for at in range(1, len(history._packed), _NUMBERS):
                said = history._packed[at]
                named = events[(said & _SAID_MASK) >> _ACTOR_BITS] << _ACTOR_BITS | actors[said & _ACTOR_MASK]
                history._packed[at] = said & ~_SAID_MASK | named
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
        moment, said = self._packed[start : start + _NUMBERS]
        event, _, about = _event_names.by_number[(said & _SAID_MASK) >> _ACTOR_BITS].partition(" ")
        actor = _actors.by_number[said & _ACTOR_MASK]
        return HistoryEntry(said >> _SAID_BITS, event, _EPOCH + timedelta(microseconds=moment), actor, about)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemandHistory) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]

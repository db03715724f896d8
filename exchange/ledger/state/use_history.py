"""What a grantee recorded about its use, packed: grants live for years and tell of their use every month."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

Told = tuple[str, str, str, str]
"""Scenario, process, effect, storage: mostly the same ones again, and then kept once."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class UseRecord:
    """One record of how granted data were used. The ledger keeps it for ever; the law asks for three years."""

    at: datetime
    scenario: str
    process: str
    effect: str
    storage: str


class UseHistory:
    """The records of one grant, oldest first."""

    __slots__ = ("_moments", "_told")

    def __init__(self, moments: Iterable[int] = (), told: Iterable[Told] = ()) -> None:
        """moments: in microseconds since 1970, one for each that is told."""
        self._moments = array("q", moments)
        self._told = tuple(told)
        if len(self._moments) != len(self._told):
            raise ValueError("a moment for each record")

    def add(self, at: datetime, told: Told) -> None:
        """Add the next record; its moment is aware."""
        self._moments.append((at - _EPOCH) // _MICROSECOND)
        self._told = (*self._told, told)

    def cut(self, length: int) -> None:
        """Forget every record behind the first `length` ones."""
        del self._moments[length:]
        self._told = self._told[:length]

    def parts(self) -> tuple[list[int], tuple[Told, ...]]:
        """What it was made of."""
        return self._moments.tolist(), self._told

    def __len__(self) -> int:
        return len(self._told)

    def __iter__(self) -> Iterator[UseRecord]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> UseRecord:
        return UseRecord(_EPOCH + timedelta(microseconds=self._moments[index]), *self._told[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UseHistory) and self.parts() == other.parts()

    __hash__ = None  # type: ignore[assignment]

"""The shape of a record as the client hands it over."""

from typing import Protocol

from exchange.record import Headers

Place = tuple[str, int]
"""(topic, partition)."""


class Message(Protocol):
    """One consumed record. A tombstone is falsy: test with `is not None`, never by truth."""

    def topic(self) -> str:
        """The topic it was read from."""
        ...

    def partition(self) -> int:
        """The partition it was read from."""
        ...

    def offset(self) -> int:
        """Its offset."""
        ...

    def key(self) -> bytes | None:
        """The key as it came."""
        ...

    def value(self) -> bytes | None:
        """The value as it came; None is a tombstone."""
        ...

    def headers(self) -> Headers | None:
        """The headers as they came; a header's value may be None."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """(kind, milliseconds since 1970); the kind 2 is the broker's own time of append."""
        ...

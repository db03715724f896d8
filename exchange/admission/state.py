"""The books of admission: what one unit took from its inboxes and what became of it, as its state topic holds them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.errors import ExchangeError

BOOKS_KEY = b"n|"
"""The one key of a unit's partition of `exchange.admission.<record type>`."""


@dataclass(slots=True)
class Books:
    """Counts since the beginning. taken = admitted + unchanged + superseded + quarantined; heartbeats never count.

    What has ended by itself was not taken from an inbox, but stands in the registry beside what was admitted.
    """

    taken: int = 0
    admitted: int = 0
    unchanged: int = 0
    superseded: int = 0
    quarantined: int = 0
    by_code: dict[str, int] = field(default_factory=dict)
    """Quarantined records by error code."""
    by_provider: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same by provider, then by code."""
    expired: int = 0
    """Records that admission withdrew because their period was over."""

    @property
    def entered(self) -> int:
        """What was written into the registry, and delivery has to take."""
        return self.admitted + self.expired

    @property
    def difference(self) -> int:
        """0 when the books close."""
        return self.taken - self.admitted - self.unchanged - self.superseded - self.quarantined

    def quarantine(self, provider: str, code: str) -> None:
        """Count one quarantined record."""
        self.quarantined += 1
        self.by_code[code] = self.by_code.get(code, 0) + 1
        codes = self.by_provider.setdefault(provider, {})
        codes[code] = codes.get(code, 0) + 1

    def add(self, other: "Books") -> None:
        """Add the books of another partition."""
        self.taken += other.taken
        self.admitted += other.admitted
        self.unchanged += other.unchanged
        self.superseded += other.superseded
        self.quarantined += other.quarantined
        self.expired += other.expired
        _merge(self.by_code, other.by_code)
        for provider, codes in other.by_provider.items():
            _merge(self.by_provider.setdefault(provider, {}), codes)


def _merge(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        into[name] = into.get(name, 0) + count


_COUNTS = ("taken", "admitted", "unchanged", "superseded", "quarantined")


def encode(books: Books) -> bytes:
    """The value of the state record."""
    found: dict[str, Any] = {name: getattr(books, name) for name in _COUNTS}
    found |= {"by_code": books.by_code, "by_provider": books.by_provider}
    if books.expired:
        found["expired"] = books.expired
    return json.dumps(found, separators=(",", ":"), sort_keys=True).encode()


def decode(value: bytes) -> Books:
    """The books in a state record. Raises ExchangeError(E_REGISTRY_DAMAGED) for what `encode` did not write."""
    try:
        found = json.loads(value)
        return Books(
            **{name: int(found[name]) for name in _COUNTS},
            by_code={str(code): int(count) for code, count in found["by_code"].items()},
            by_provider={
                str(provider): {str(code): int(count) for code, count in codes.items()}
                for provider, codes in found["by_provider"].items()
            },
            expired=int(found.get("expired", 0)),  # absent where none of them ever expired
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExchangeError("E_REGISTRY_DAMAGED", f"books of admission: {type(error).__name__}") from None

"""What was done under each idempotency key, for as long as a client may repeat its command."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

KEY_KEPT: Final = timedelta(days=30)
"""For at least this long after its command, in the ledger's time, a key answers what it answered then."""

Key = tuple[str, str]
"""(actor, idempotency key)."""


@dataclass(slots=True)
class CommandEntry:
    """What a command with an idempotency key did."""

    digest: str
    """What was asked, so that the same key for something else is noticed."""
    first: int
    """Sequence number of its first event."""
    last: int
    entities: tuple[str, ...]
    """The entity of each of its events, in order."""


@dataclass(slots=True)
class IdempotencyKeys:
    """Two generations of keys: when the young one has been filled for KEY_KEPT, the old one is forgotten as a whole."""

    _young: dict[Key, CommandEntry] = field(default_factory=dict)
    _old: dict[Key, CommandEntry] = field(default_factory=dict)
    _since: datetime | None = None
    """When the young generation began."""

    def get(self, key: Key) -> CommandEntry | None:
        """What was done under a key; None when nothing was, or too long ago."""
        return self._young.get(key) or self._old.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._young or key in self._old

    def kept(self, key: Key) -> Callable[[], None]:
        """What puts everything back that the next event of a key changes."""
        young, old, since, done = self._young, self._old, self._since, self.get(key)
        said = None if done is None else (done.last, done.entities)

        def put_back() -> None:
            self._young, self._old, self._since = young, old, since
            if done is None or said is None:
                young.pop(key, None)
            else:
                done.last, done.entities = said

        return put_back

    def note(self, key: Key, digest: str, seq: int, entity: str, at: datetime) -> None:
        """Note an event of a command; of the first one the digest counts."""
        done = self.get(key)
        if done is not None:
            done.last, done.entities = seq, (*done.entities, entity)
            return
        if self._since is None or at - self._since >= KEY_KEPT:
            self._since, self._old, self._young = at, self._young, {}
        self._young[key] = CommandEntry(digest, seq, seq, (entity,))

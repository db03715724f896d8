"""The rows of a source that are set aside and wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.clock import format_time, parse_time
from exchange.intake.memory.store import Store

_AT_ONCE = 5_000
_COLUMNS = "identity, place, row_hash, stage, code, detail, since, announced, natural_key"


@dataclass(slots=True)
class Waiting:
    """A row that was set aside, as `tables` says."""

    identity: str
    place: str | None
    row_hash: bytes
    stage: str
    code: str
    detail: str
    since: datetime
    announced: datetime
    natural_key: str | None = None

    def __repr__(self) -> str:
        return f"Waiting({self.code})"

    def same_as(self, other: "Waiting") -> bool:
        """Whether it is the same row with the same fault."""
        return (self.row_hash, self.code, self.detail) == (other.row_hash, other.code, other.detail)


class WaitingRows:
    """The table `set_aside`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.count, self.since = self._looked()
        """How many wait, and since when the oldest does."""

    def _looked(self) -> tuple[int, datetime | None]:
        ((number, since),) = self._store.rows("SELECT count(*), min(since) FROM set_aside")
        return number, None if since is None else parse_time(since)

    def of(self, identities: Sequence[str]) -> dict[str, Waiting]:
        """Those among `identities` that wait."""
        if not self.count:
            return {}
        found: dict[str, Waiting] = {}
        for start in range(0, len(identities), _AT_ONCE):
            some = identities[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            statement = f"SELECT {_COLUMNS} FROM set_aside WHERE identity IN ({marks})"  # noqa: S608
            for identity, place, row_hash, stage, code, detail, *moments, natural_key in self._store.rows(
                statement, some
            ):
                since, announced = map(parse_time, moments)
                found[identity] = Waiting(identity, place, row_hash, stage, code, detail, since, announced, natural_key)
        return found

    def for_natural_keys(self, natural_keys: Sequence[str]) -> bool:
        """Whether a row waits because another one had one of these natural keys."""
        return any(
            self._store.rows("SELECT 1 FROM set_aside WHERE natural_key = ? LIMIT 1", (key,))
            for key in (natural_keys if self.count else ())
        )

    def write(self, rows: Iterable[Waiting], reading: int) -> None:
        """These wait, or wait again. Inside a transaction; `look` afterwards."""
        self._store.change_many(
            f"INSERT OR REPLACE INTO set_aside ({_COLUMNS}, reading)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row.identity,
                    row.place,
                    row.row_hash,
                    row.stage,
                    row.code,
                    row.detail,
                    format_time(row.since),
                    format_time(row.announced),
                    row.natural_key,
                    reading,
                )
                for row in rows
            ],
        )

    def remove(self, identities: Iterable[str]) -> None:
        """These wait no longer. Inside a transaction; `look` afterwards."""
        self._store.change_many("DELETE FROM set_aside WHERE identity = ?", [(one,) for one in identities])

    def unseen(self, reading: int, limit: int) -> list[str]:
        """Identities that wait and that the whole reading `reading` has not brought."""
        found = self._store.rows("SELECT identity FROM set_aside WHERE reading <> ? LIMIT ?", (reading, limit))
        return [identity for (identity,) in found]

    def look(self) -> None:
        """Count again, after a change."""
        self.count, self.since = self._looked()

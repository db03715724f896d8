"""What the memory knows of the rows of a source: found page by page, written ahead of each submission."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.intake.memory.store import Store

_AT_ONCE = 5_000
"""Values in one IN list, and rows that are looked through at once."""
_COLUMNS = "id, row_key, natural_key, hash, intended, sequence, row_sequence, withdrawn, row_digest"
Hashes = tuple[str, int, bytes | None, bytes | None]
"""Of a row: its key, its id, `hash` and `row_digest`."""
_LIVE = "withdrawn = 0 AND row_key IS NOT NULL"


@dataclass(slots=True)
class Known:
    """One row of the memory, as `tables` says. Its repr shows no key."""

    id: int
    row_key: str | None
    natural_key: str
    hash: bytes | None
    intended: bytes | None
    sequence: int
    row_sequence: int
    withdrawn: int
    digest: bytes | None = None
    dropped: bool = False
    """Whether the memory lets go of it."""

    def __repr__(self) -> str:
        return f"Known({self.id})"

    @property
    def live(self) -> bool:
        """Whether a row of the source stands behind it that is not withdrawn."""
        return not self.withdrawn and not self.dropped and self.row_key is not None


class Seen:
    """Which rows of the memory a whole reading has brought: a bit each, 1.25 MB for 10 million rows."""

    def __init__(self, most: int) -> None:
        self._bits = bytearray((most >> 3) + 1)

    def add(self, ids: Iterable[int]) -> None:
        """These were brought."""
        bits = self._bits
        for number in ids:
            at = number >> 3
            if at >= len(bits):
                bits.extend(bytes(max(at - len(bits) + 1, len(bits) >> 3)))
            bits[at] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] & 1 << (number & 7))

    def lacking(self, ids: Sequence[tuple[int]]) -> list[int]:
        """Those of the ids that were not brought."""
        bits, room = self._bits, len(self._bits) << 3
        return [number for (number,) in ids if number >= room or not bits[number >> 3] & 1 << (number & 7)]


class KnownRows:
    """The table `rows`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        ((most,),) = store.rows("SELECT coalesce(max(id), 0) FROM rows")
        self.most: int = most
        """The greatest id so far."""

    def new_id(self) -> int:
        """An id for a row that the memory does not know yet."""
        self.most += 1
        return self.most

    def hashes(self, row_keys: Sequence[str]) -> dict[str, Hashes]:
        """Those of the rows that are known."""
        return {one[0]: one for one in self._in("row_key, id, hash, row_digest", "row_key", row_keys)}

    def by_row_key(self, row_keys: Sequence[str]) -> list[Known]:
        """Those rows that are known."""
        return [Known(*row) for row in self._in(_COLUMNS, "row_key", row_keys)]

    def by_natural_key(self, natural_keys: Sequence[str]) -> list[Known]:
        """All rows with these natural keys."""
        return [Known(*row) for row in self._in(_COLUMNS, "natural_key", natural_keys)]

    def by_id(self, ids: Sequence[int]) -> list[Known]:
        """Rows by their ids."""
        return [Known(*row) for row in self._in(_COLUMNS, "id", ids)]

    def _in(self, columns: str, column: str, values: Sequence[object]) -> Iterator[Any]:
        for start in range(0, len(values), _AT_ONCE):
            some = values[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            yield from self._store.rows(f"SELECT {columns} FROM rows WHERE {column} IN ({marks})", some)  # noqa: S608

    def count_live(self) -> int:
        """Rows that are in the source and not withdrawn, as far as the memory knows."""
        ((number,),) = self._store.rows(f"SELECT count(*) FROM rows WHERE {_LIVE}")  # noqa: S608
        return int(number)

    def not_in(self, seen: Seen, most: int) -> "array[int]":
        """The ids of live rows up to `most` that are not among `seen`, in 8 bytes each."""
        missing = array("q")
        for some in self._store.batches(f"SELECT id FROM rows WHERE {_LIVE} AND id <= ?", (most,)):  # noqa: S608
            missing.extend(seen.lacking(some))
        return missing

    def write(self, rows: Iterable[Known], batch: int) -> None:
        """Write rows as they are on their way in `batch`, inside a transaction.

        First those that are let go of: the row key of one may be another's by now.
        """
        kept: list[Known] = []
        gone: list[Known] = []
        for row in rows:
            (gone if row.dropped else kept).append(row)
        self._store.change_many("DELETE FROM rows WHERE id = ?", [(row.id,) for row in gone])
        self._store.change_many(
            f"INSERT OR REPLACE INTO rows ({_COLUMNS}, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [
                (
                    row.id,
                    row.row_key,
                    row.natural_key,
                    row.hash,
                    row.intended,
                    row.sequence,
                    row.row_sequence,
                    row.withdrawn,
                    row.digest,
                    batch,
                )
                for row in kept
            ],
        )

    def keep_digests(self, digests: Sequence[tuple[bytes | None, int]]) -> None:
        """(digest, id) of rows whose records are those that Kafka has. Inside a transaction."""
        self._store.change_many("UPDATE rows SET row_digest = ? WHERE id = ?", digests)

    def doubt(self, done: int) -> None:
        """Rows of batches behind `done` may not have reached Kafka: what was intended is kept, what Kafka has is open.

        Inside a transaction. Done twice, it changes nothing more.
        """
        self._store.change(
            "UPDATE rows SET intended = hash, hash = NULL WHERE batch > ? AND withdrawn = 0 AND hash IS NOT NULL",
            (done,),
        )

    def withdrawals_behind(self, done: int) -> list[tuple[str, int]]:
        """(natural key, sequence) of withdrawals in batches behind `done`, unless another row has the key by now."""
        return self._store.rows(
            """SELECT natural_key, sequence FROM rows AS one WHERE batch > ? AND withdrawn = 1 AND NOT EXISTS (
                SELECT 1 FROM rows AS other
                WHERE other.natural_key = one.natural_key AND other.withdrawn = 0 AND other.row_key IS NOT NULL
            ) ORDER BY sequence""",
            (done,),
        )

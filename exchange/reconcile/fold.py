"""The last version of each key as hashes, in a database of its own on disk: memory stays flat over any number of keys.

The file is SQLite's private temporary database: nobody else can open it, and it is gone when it is closed.

Digests are those of a tree over the SHA-256 of the keys, with 256 branches at each level: the digest of a branch is the
sum, modulo 2^256, of SHA-256(hash of the key ‖ hash of the content) over its keys. The sum does not depend on the
order, and two branches that differ in one key differ in it.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
FEW = 2048
"""So many keys of a branch are given one by one instead of as branches of their own."""
_MODULUS = 1 << 8 * HASH_BYTES
_TABLE = """
CREATE TABLE entries (
    hash BLOB PRIMARY KEY, content BLOB NOT NULL, key BLOB NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL
) WITHOUT ROWID
"""
_PUT = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)"
_PUT_NEWER = """
INSERT INTO entries VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET
    content = excluded.content, key = excluded.key, part = excluded.part, place = excluded.place
WHERE excluded.place >= place
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """The last version of a key. Its repr shows neither key nor content."""

    hash: bytes
    content: bytes
    key: bytes
    part: int
    """The partition, or the number of the source."""
    place: int
    """The offset, or the sequence."""

    def __repr__(self) -> str:
        return f"Entry(part={self.part}, place={self.place})"


@dataclass(frozen=True, slots=True)
class Branch:
    """How many keys a branch has, and their digest."""

    records: int
    digest: bytes


def key_hash(key: bytes) -> bytes:
    """What stands for a key."""
    return hashlib.sha256(key).digest()


class Fold:
    """Keys and contents of one side. Used by one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -32000", "temp_store = FILE"):
            self._db.execute(f"PRAGMA {setting}")
        self._db.execute(_TABLE)

    def put(self, entries: Iterable[Entry], newer_only: bool = False) -> None:
        """Keep these versions. newer_only: one with a smaller place than the kept one changes nothing."""
        rows = [(one.hash, one.content, one.key, one.part, one.place) for one in entries]
        self._many(_PUT_NEWER if newer_only else _PUT, rows)

    def remove(self, hashes: Iterable[bytes]) -> None:
        """Forget these keys."""
        self._many("DELETE FROM entries WHERE hash = ?", [(one,) for one in hashes])

    def forget(self, content: bytes) -> None:
        """Forget every key with this content."""
        self._db.execute("DELETE FROM entries WHERE content = ?", (content,))

    def get(self, hash_: bytes) -> Entry | None:
        """The entry of a key."""
        row = self._db.execute("SELECT * FROM entries WHERE hash = ?", (hash_,)).fetchone()
        return None if row is None else Entry(*row)

    def count(self) -> int:
        """The number of keys."""
        number: int = self._db.execute("SELECT count(*) FROM entries").fetchone()[0]
        return number

    def entries(self, prefix: bytes = b"") -> Iterator[Entry]:
        """Every entry whose hash begins with `prefix`, in the order of the hashes."""
        for row in self._db.execute(*_range("SELECT * FROM entries", prefix)):
            yield Entry(*row)

    def branches(self, prefix: bytes = b"") -> dict[int, Branch]:
        """The branches under `prefix` by the next byte of the hash; one without keys is absent."""
        counts: dict[int, int] = {}
        sums: dict[int, int] = {}
        at = len(prefix)
        for hash_, content in self._db.execute(*_range("SELECT hash, content FROM entries", prefix)):
            byte = hash_[at]
            counts[byte] = counts.get(byte, 0) + 1
            sums[byte] = sums.get(byte, 0) + int.from_bytes(hashlib.sha256(hash_ + content).digest(), "big")
        return {byte: Branch(number, _bytes(sums[byte])) for byte, number in counts.items()}

    def contents(self) -> Branch:
        """All contents without their keys, each as often as it occurs."""
        number = total = 0
        for (content,) in self._db.execute("SELECT content FROM entries"):
            number += 1
            total += int.from_bytes(hashlib.sha256(content).digest(), "big")
        return Branch(number, _bytes(total))

    def close(self) -> None:
        """Let go of the file, which removes it."""
        self._db.close()

    def _many(self, statement: str, rows: Sequence[tuple[bytes | int, ...]]) -> None:
        if rows:
            self._db.execute("BEGIN")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")


def differing(ours: Mapping[int, Branch], theirs: Mapping[int, Branch]) -> list[int]:
    """The branches that are not the same on both sides."""
    return sorted(byte for byte in ours.keys() | theirs.keys() if ours.get(byte) != theirs.get(byte))


def _range(question: str, prefix: bytes) -> tuple[str, tuple[bytes, ...]]:
    if not prefix:
        return f"{question} ORDER BY hash", ()
    last = prefix + b"\xff" * (HASH_BYTES - len(prefix))
    return f"{question} WHERE hash BETWEEN ? AND ? ORDER BY hash", (prefix, last)


def _bytes(total: int) -> bytes:
    return (total % _MODULUS).to_bytes(HASH_BYTES, "big")

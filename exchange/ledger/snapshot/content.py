"""The state as bytes, and back: frames of rows, each section of the state behind what it names.

A frame is its length in 4 bytes, then, compressed, the length of its JSON, the JSON, and the histories of its rows.
Indexes that follow from the entries are worked out again.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from exchange.ledger.fold.demands import note_asked
from exchange.ledger.snapshot.rows import RowReader, RowWriter
from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.demand_history import names_so_far, numbers_here
from exchange.ledger.state.idempotency_keys import IdempotencyKeys
from exchange.ledger.state.ledger_state import (
    DemandEntry,
    DepartmentEntry,
    GrantEntry,
    LedgerState,
    ResourceEntry,
    ShareEntry,
)
from exchange.ledger.state.settled_quarantine import SettledRecords
from exchange.ledger.state.token import TokenEntry
from exchange.ledger.state.written_today import WrittenToday

_LENGTH: Final = struct.Struct(">I")
_FAST: Final = 1
_ROWS: Final = 1_000
_PACKED_BYTES: Final = 500_000
_MAX_FRAME_BYTES: Final = 1 << 30
_ENTRIES: Final[tuple[tuple[str, type], ...]] = (
    ("departments", DepartmentEntry),
    ("resources", ResourceEntry),
    ("demands", DemandEntry),
    ("grants", GrantEntry),
    ("shares", ShareEntry),
    ("tokens", TokenEntry),
    ("corrections", CorrectionEntry),
)
"""The sections of entries, each found by its first field."""
_PAIRS: Final[tuple[tuple[str, Any], ...]] = (
    ("renewals", tuple[str, tuple[str, ...]]),
    ("replacements", tuple[str, tuple[str, ...]]),
    ("token_of_digest", tuple[str, str]),
    ("settled", tuple[str, SettledRecords]),
)
_VIEWS: Final = (("awaiting", "demands"), ("prompt", "demands"), ("running", "grants"))
"""Sections that name entries of another one."""
_SINGLE: Final = (
    "seq", "head", "next_schema_id", "enforced", "leader_worker", "leader_url", "unread",
)  # fmt: skip
KEPT: Final = {name for name, _ in (*_ENTRIES, *_PAIRS, *_VIEWS)} | {*_SINGLE, "at", "written", "commands"}
"""What of the state is written; `alike` is worked out again."""


@cache
def form() -> str:
    """The form of the state: a hash of the code that folds it and writes it down.

    Whatever of it changes, another state may follow from the same events: a snapshot of before is good for nothing.
    """
    digest = hashlib.sha256()
    for room in ("events", "fold", "snapshot", "state"):
        folder = files("exchange.ledger") / room
        for file in sorted(folder.iterdir(), key=lambda one: one.name):
            if file.name.endswith(".py"):
                digest.update(f"{room}/{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def write_state(state: LedgerState) -> Iterator[bytes]:
    """The frames of a state, which must not change meanwhile."""
    writer = RowWriter()
    single = {name: getattr(state, name) for name in _SINGLE}
    at, written = writer.converter(datetime), writer.converter(WrittenToday)
    assert at is not None
    assert written is not None
    about = {**single, "at": None if state.at is None else at(state.at), "written": written(state.written)}
    yield _frame(writer, "about", [[about, names_so_far()]])
    for name, kind in _ENTRIES:
        yield from _frames(writer, name, kind, getattr(state, name).values())
    for name, kind in _PAIRS:
        yield from _frames(writer, name, kind, getattr(state, name).items())
    for name, _ in _VIEWS:
        yield from _frames(writer, name, str, getattr(state, name))
    yield from _frames(writer, "commands", IdempotencyKeys, [state.commands])


def _frames(writer: RowWriter, section: str, kind: Any, values: Iterable[Any]) -> Iterator[bytes]:
    write = writer.converter(kind)
    assert write is not None
    rows: list[Any] = []
    for value in values:
        rows.append(write(value))
        if len(rows) == _ROWS or len(writer.packed) > _PACKED_BYTES:
            yield _frame(writer, section, rows)
            rows = []
    if rows:
        yield _frame(writer, section, rows)


def _frame(writer: RowWriter, section: str, rows: list[Any]) -> bytes:
    texts, shared, packed = writer.take_new()
    body = orjson.dumps([section, texts, shared, rows])
    compressed = zlib.compress(_LENGTH.pack(len(body)) + body + packed, _FAST)
    return _LENGTH.pack(len(compressed)) + compressed


def read_state(parts: Iterable[bytes]) -> LedgerState:
    """The state of the frames in these bytes, however they are cut. Raises any error for bytes that are none."""
    state, reader = LedgerState(), None
    for section, texts, shared, rows, packed in _read_frames(parts):
        if reader is None:
            ((about, names),) = rows
            reader = RowReader(numbers_here(*names))
            reader.add(texts, shared, packed)
            _take_single(state, reader, about)
        else:
            reader.add(texts, shared, packed)
            _take_section(state, reader, section, rows)
    if reader is None:
        raise ValueError("nothing to read")
    for demand in state.demands.values():
        note_asked(state, demand)
    return state


def _read_frames(parts: Iterable[bytes]) -> Iterator[tuple[str, list[str], list[list[Any]], list[Any], memoryview]]:
    waiting = bytearray()
    for part in parts:
        waiting += part
        while len(waiting) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(waiting)[0]
            if len(waiting) < end:
                break
            content = memoryview(_inflated(bytes(waiting[_LENGTH.size : end])))
            del waiting[:end]
            behind = _LENGTH.size + _LENGTH.unpack_from(content)[0]
            section, texts, shared, rows = orjson.loads(content[_LENGTH.size : behind])
            yield section, texts, shared, rows, content[behind:]
    if waiting:
        raise ValueError("a frame is cut off")


def _inflated(compressed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(compressed, _MAX_FRAME_BYTES)
    if not inflater.eof:
        raise ValueError("a frame is too large or cut off")
    return content


def _take_single(state: LedgerState, reader: RowReader, about: dict[str, Any]) -> None:
    for name in _SINGLE:
        setattr(state, name, about[name])
    at, written = reader.converter(datetime), reader.converter(WrittenToday)
    assert at is not None
    assert written is not None
    state.at = None if about["at"] is None else at(about["at"])
    state.written = written(about["written"])


def _take_section(state: LedgerState, reader: RowReader, section: str, rows: list[Any]) -> None:
    for name, kind in _ENTRIES:
        if name == section:
            read, entries = reader.converter(kind), getattr(state, name)
            assert read is not None
            key = next(iter(kind.__dataclass_fields__))  # type: ignore[attr-defined]
            for row in rows:
                entry = read(row)
                entries[getattr(entry, key)] = entry
            return
    for name, kind in _PAIRS:
        if name == section:
            read = reader.converter(kind)
            assert read is not None
            getattr(state, name).update(map(read, rows))
            return
    for name, source in _VIEWS:
        if name == section:
            text, entries = reader.converter(str), getattr(state, source)
            assert text is not None
            getattr(state, name).update((text(row), entries[text(row)]) for row in rows)
            return
    if section != "commands":
        raise ValueError("an unknown section")
    read = reader.converter(IdempotencyKeys)
    assert read is not None
    (state.commands,) = map(read, rows)

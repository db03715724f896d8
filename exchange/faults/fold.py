"""What the faults log says in the end: which rows and records wait, since when, and why.

Entries are folded one by one; the last of an item says whether it still waits. What is kept lies in a temporary
database on the disk, so that a log of a million entries takes no more memory than one of ten.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

from exchange.clock import format_time, parse_time
from exchange.errors import ExchangeError
from exchange.faults.log import Settled

_ITEM = re.compile(r"[0-9a-f]{16}")
_PLACE = re.compile(r"([\w.-]{1,249}), partition (\d{1,10}), offset (\d{1,19})", re.ASCII)
_PART = re.compile(r"[0-9a-f]{4,16}")
_LONGEST = 500
"""Characters of a text that are kept."""
_MADE = """CREATE TABLE items (
    number INTEGER PRIMARY KEY, item TEXT UNIQUE, connector TEXT NOT NULL, record_type TEXT NOT NULL,
    stage TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, place TEXT NOT NULL,
    since TEXT NOT NULL, at TEXT NOT NULL, settled TEXT, of_sink INTEGER NOT NULL, entry INTEGER NOT NULL
)"""
_COLUMNS = "item, connector, record_type, stage, code, detail, place, since, at, settled, of_sink, entry"
_PUT = f"""INSERT INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)
    ON CONFLICT (item) DO UPDATE SET
        since = CASE WHEN settled IS NULL THEN since ELSE excluded.since END,
        code = excluded.code, detail = excluded.detail, stage = excluded.stage, place = excluded.place,
        at = excluded.at, settled = NULL, of_sink = excluded.of_sink, entry = excluded.entry"""  # noqa: S608
_WAITING = "item IS NOT NULL AND settled IS NULL"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row or record, as the log knows it. Nothing in it is a value of the row."""

    item: str | None
    """None for an entry of before items had names: nobody can tell whether it waits."""
    connector: str
    record_type: str
    stage: str
    code: str
    detail: str
    place: str
    """Where the row or record stands, in words; empty where its key alone says it."""
    since: datetime
    at: datetime
    """Of its last entry."""
    settled: str | None
    """Why it waits no longer (`Settled`); None while it does."""
    of_sink: bool
    entry: int
    """The offset of its last entry that says what is wrong."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a connector wait with one error, and since when the oldest does."""

    connector: str
    code: str
    waiting: int
    oldest: datetime


class FaultsFold:
    """The log, entry by entry. A context manager: the temporary database goes with it.

    Methods raise ExchangeError(E_STATE) when the temporary folder has no room.
    """

    def __init__(self, connector: str | None = None, keep_settled: bool = False) -> None:
        """connector: only what concerns it. keep_settled: also what waits no longer, and entries without an item."""
        self._connector = connector
        self._keep_settled = keep_settled
        self.without_item = 0
        """Entries of before items had names."""
        with _guarded():
            self._kept = sqlite3.connect("", isolation_level=None)
            self._kept.execute(_MADE)
            self._kept.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def add(self, entry: int, value: bytes | None) -> None:
        """The next entry of the log, at its offset. What is no entry is passed over."""
        found = _read(value)
        if found is None or self._connector not in (None, found["connector"]):
            return
        with _guarded():
            if found["settled"] is not None:
                self._settle(found)
            elif found["item"] is not None:
                self._kept.execute(_PUT, _row(found, entry))
            else:
                self.without_item += 1
                if self._keep_settled:
                    self._kept.execute(_PUT, _row(found, entry))

    def _settle(self, found: dict[str, Any]) -> None:
        if self._keep_settled:
            done = (found["settled"], found["at"], found["item"])
            self._kept.execute("UPDATE items SET settled = ?, at = ? WHERE item = ?", done)
        else:
            self._kept.execute("DELETE FROM items WHERE item = ?", (found["item"],))

    def faults(self, code: str | None, limit: int) -> list[Fault]:
        """What is kept, what has waited longest first."""
        chosen = "TRUE" if self._keep_settled else _WAITING
        asked = f"SELECT {_COLUMNS} FROM items WHERE ({chosen}) AND (? IS NULL OR code = ?)"  # noqa: S608
        return self._found(f"{asked} ORDER BY since, number LIMIT ?", (code, code, limit))

    def named(self, part: str) -> list[Fault]:
        """The faults whose item begins with `part` (at least 4 characters), at most two."""
        if not _PART.fullmatch(part):
            return []
        return self._found(f"SELECT {_COLUMNS} FROM items WHERE item GLOB ? LIMIT 2", (f"{part}*",))  # noqa: S608

    def counts(self) -> list[Count]:
        """What waits, by connector and error."""
        asked = f"SELECT connector, code, count(*), min(since) FROM items WHERE {_WAITING} GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608
        with _guarded():
            rows = self._kept.execute(asked).fetchall()
        return [Count(connector, code, waiting, parse_time(oldest)) for connector, code, waiting, oldest in rows]

    def _found(self, asked: str, values: tuple[Any, ...]) -> list[Fault]:
        with _guarded():
            rows = self._kept.execute(asked, values).fetchall()
        names = [one.name for one in fields(Fault)]
        made = (dict(zip(names, row, strict=True)) for row in rows)
        return [
            Fault(
                **{
                    **one,
                    "since": parse_time(one["since"]),
                    "at": parse_time(one["at"]),
                    "of_sink": bool(one["of_sink"]),
                }
            )
            for one in made
        ]


def row_of(value: bytes | None) -> dict[str, str | None] | None:
    """The row in an entry of a source, for the department's own eyes; None when the entry has none."""
    try:
        row = json.loads(value or b"null")["row"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    return {_text(name): None if cell is None else _text(cell) for name, cell in row.items()}


def _read(value: bytes | None) -> dict[str, Any] | None:
    """An entry with what is needed of it, or None: whoever has the department's secret can write anything there."""
    try:
        found = json.loads(value or b"null")
        item, settled = found.get("item"), found.get("settled")
        told = {
            "item": item if item is not None and _ITEM.fullmatch(item) else None,
            "settled": None if settled is None else Settled(settled).value,
            "at": format_time(parse_time(found["at"])),
            "of_sink": "offset" in found,
            "place": _place(found),
        }
        texts = {name: _text(found.get(name, "")) for name in ("connector", "record_type", "stage", "code", "detail")}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return told | texts


def _place(found: dict[str, Any]) -> str:
    if "offset" in found:
        return _text(f"{found.get('topic')}, partition {found.get('partition')}, offset {found['offset']}")
    return _text(found.get("place") or "")


def place_of(fault: Fault) -> tuple[str, int, int] | None:
    """Where a record stands that a sink has set aside: topic, partition and offset."""
    found = _PLACE.fullmatch(fault.place)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


def _row(found: dict[str, Any], entry: int) -> tuple[Any, ...]:
    names = ("item", "connector", "record_type", "stage", "code", "detail", "place", "at", "at", "of_sink")
    return (*(found[name] for name in names), entry)


def _text(found: object) -> str:
    """A text that can be shown on any screen: of bounded length, and without anything that steers a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(found)[:_LONGEST])


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise ExchangeError("E_STATE", f"a temporary file for the faults log cannot be used ({name})") from None

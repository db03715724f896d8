"""The deliveries of one folder as its sink sees them: where it stands after a start, and what it publishes next.

The folder is the memory: the last manifest says where reading goes on. What the grantee could change there is found
out: the manifest bears our signature, and a small file outside of the folder knows the last number and its hash. So no
number is ever given twice in a series. Whoever empties the folder gets everything again, in a new series.

A delivery that is not taken within `KEPT`, or that has lost a file, is void: its records are read again for the next
one, as they are by then. So nothing is lost, and nothing withdrawn lies about for longer than in a share.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from exchange.clock import format_time, parse_time
from exchange.errors import ExchangeError
from exchange.handover.files.folder import CSV, LAST_NUMBER, MANIFEST, RECEIPT, SIGNATURE, DropFolder, name_of
from exchange.handover.files.manifest import (
    MOST_BYTES,
    RECEIPT_BYTES,
    Manifest,
    Totals,
    is_receipt,
    read_manifest,
    sha256_of,
)
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.signing import SIGNATURE_BYTES, SigningKey

KEPT = timedelta(days=3)
"""How long files with records lie in the folder, taken or not: less than the 3.5 days of a share."""
_CLOCKS_DIFFER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served."""

    department: str
    record_type: str
    grant: str
    topic: str
    schema_id: int


@dataclass(slots=True)
class Standing:
    """Where the sink stands."""

    reading: int = 1
    starts: dict[int, int] = field(default_factory=dict)
    """The first offset of each partition that is in no delivery; an absent one begins at its start."""
    totals: dict[int, Totals] = field(default_factory=dict)
    waiting: bool = False
    """Whether the last delivery is to be taken first."""
    taken: bool = False
    """Whether the last delivery has been taken: its offsets may still have to be told."""
    complete: bool = True
    """Whether some delivery has brought the present reading to the end of the share."""
    void: int | None = None
    """The delivery that the next one takes the place of."""


class Remembered:
    """The small file outside of the folder: series, number and hash of the last manifest, and when all was read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self.said = {}
        except (OSError, ValueError) as error:
            raise ExchangeError("E_SETTINGS", f"{file.name} cannot be read: {type(error).__name__}") from None

    def note(self, **said: str | int) -> None:
        """Keep something more."""
        self.said |= said
        aside = self._file.with_name(f"{self._file.name}.new")
        try:
            aside.write_text(json.dumps(self.said), encoding="utf-8")
            aside.replace(self._file)
        except OSError as error:
            raise ExchangeError("E_FILES_UNREACHABLE", f"{self._file.name}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _Signed:
    """A manifest that bears our signature, and the bytes of its file: hashes are over them."""

    manifest: Manifest
    content: bytes


class Chain:
    """The deliveries of a folder. Used by one thread."""

    def __init__(self, folder: DropFolder, key: SigningKey, remembered: Remembered) -> None:
        self.folder = folder
        self._key = key
        self._remembered = remembered
        self._last: _Signed | None = None
        self._series = secrets.token_hex(16)

    @property
    def head(self) -> Manifest | None:
        """The last manifest."""
        return None if self._last is None else self._last.manifest

    def open(self) -> None:
        """Read the last manifest. Raises ExchangeError(E_FILES_FOLDER) when it is not what was left there."""
        numbers = self.folder.numbers(MANIFEST)
        self.folder.clear_unfinished(max(numbers, default=0))
        if not numbers:
            self._last, self._series = None, secrets.token_hex(16)
            return
        last = self._last = self._read(numbers[-1])
        head = last.manifest
        self._series = head.series
        said = self._remembered.said
        if said.get("series") != head.series:
            return
        known, number = int(said["number"]), head.number
        if number not in (known, known + 1):
            raise ExchangeError("E_FILES_FOLDER", f"delivery {known} was the last one, not {number}")
        if said["manifest"] != (sha256_of(last.content) if number == known else head.before):
            raise ExchangeError("E_FILES_FOLDER", f"delivery {known} was another one")

    def _read(self, number: int) -> _Signed:
        content = self.folder.read(name_of(number, MANIFEST), MOST_BYTES)
        signature = self.folder.read(name_of(number, SIGNATURE), SIGNATURE_BYTES)
        if content is None or signature is None or not self._key.public.signed(content, signature):
            raise ExchangeError("E_FILES_FOLDER", f"the manifest of delivery {number} does not bear our signature")
        return _Signed(read_manifest(content), content)

    def standing(self, served: Served, now: datetime) -> Standing:
        """Where to go on, now, for what is served. `open` comes before."""
        head = self.head
        if head is None:
            return Standing()
        taken = self.receipted()
        unusable = not taken and (self.overdue(now) or not self._intact())
        same = (head.grant, head.topic) == (served.grant, served.topic)
        if not same or self._stale(now):
            kept = _kept_totals(head, taken, served)
            return Standing(head.reading + 1, {}, kept, complete=False, void=None if taken else head.number)
        before = {one.partition: one.before for one in head.ranges}
        after = {one.partition: one.totals for one in head.ranges}
        if unusable:
            return Standing(head.reading, dict(head.starts()), before, complete=False, void=head.number)
        return Standing(head.reading, dict(head.ends()), after, not taken, taken, head.current)

    def read_again(self, standing: Standing, ends: Mapping[int, int]) -> Standing:
        """The same, but from the start of the share, in a new reading. ends: of partitions that lost their place."""
        totals = {
            number: one.model_copy(update={"counted_to": min(one.counted_to, ends.get(number, one.counted_to))})
            for number, one in standing.totals.items()
        }
        reading = standing.reading + 1 if self.head is not None else 1
        return Standing(reading, {}, totals, complete=False, void=standing.void)

    def overdue(self, now: datetime) -> bool:
        """Whether the last delivery has lain there for too long."""
        return self.head is not None and now - parse_time(self.head.created) > KEPT

    def receipted(self) -> bool:
        """Whether the grantee says that it has taken the last delivery."""
        last = self._last
        if last is None:
            return False
        return is_receipt(self.folder.read(name_of(last.manifest.number, RECEIPT), RECEIPT_BYTES), last.content)

    def _intact(self) -> bool:
        """Whether the files of the last delivery are there."""
        assert self.head is not None
        return all(self.folder.size(entry.name) == entry.bytes for entry in self.head.files)

    def _stale(self, now: datetime) -> bool:
        """Whether a tombstone may have come and gone since the share was last read to its end."""
        assert self.head is not None
        said = self._remembered.said
        since = said.get("current_at") if said.get("series") == self.head.series else None
        return now - parse_time(since or self.head.created) > TOMBSTONES_KEPT - _CLOCKS_DIFFER

    @property
    def next_number(self) -> int:
        """The number of the next delivery. Raises ExchangeError(E_FILES_FOLDER) when there is no further one."""
        number = 1 if self.head is None else self.head.number + 1
        if number > LAST_NUMBER:
            raise ExchangeError("E_FILES_FOLDER", f"the series is full: {LAST_NUMBER} deliveries")
        return number

    @property
    def links(self) -> dict[str, Any]:
        """What the next manifest says of its place in the chain."""
        before = None if self._last is None else sha256_of(self._last.content)
        return {
            "series": self._series,
            "number": self.next_number,
            "before": before,
            "key_sha256": self._key.public.fingerprint,
        }

    def publish(self, manifest: Manifest, now: datetime) -> None:
        """Make a delivery of files that are written: signature first, the manifest last."""
        content = manifest.encode()
        signature = self._key.sign(content)
        self.folder.remove(name_of(manifest.number, RECEIPT))
        self.folder.put(name_of(manifest.number, SIGNATURE), signature)
        self.folder.put(name_of(manifest.number, MANIFEST), content)
        began = self.head is None or self.head.reading != manifest.reading
        self._last = _Signed(manifest, content)
        # Before a reading has come to the end, its beginning counts: else it would begin again for ever.
        current = {"current_at": format_time(now)} if manifest.current or began else {}
        said: dict[str, str | int] = {"series": manifest.series, "number": manifest.number}
        self._remembered.note(**said, manifest=sha256_of(content), **current)

    def note_current(self, now: datetime) -> None:
        """All that stands in the share has been read."""
        self._remembered.note(current_at=format_time(now))

    def recall(self) -> None:
        """The grant has ended: nobody is to take what has not been taken."""
        if self.head is not None and not self.receipted():
            self.folder.clear(self.head.number)

    def sweep(self, now: datetime) -> None:
        """Remove files with records that have lain there for `KEPT`; the last delivery waits for its receipt."""
        if self.head is None:
            return
        last = self.head.number if self.receipted() else self.head.number - 1
        for number in [number for number in self.folder.numbers(CSV) if number <= last]:
            if now - parse_time(self._read(number).manifest.created) > KEPT:
                self.folder.clear(number)


def _kept_totals(head: Manifest, taken: bool, served: Served) -> dict[int, Totals]:
    """What was counted so far for the same grant. In another share nothing of it was."""
    if head.grant != served.grant:
        return {}
    kept = {one.partition: one.totals if taken else one.before for one in head.ranges}
    if head.topic == served.topic:
        return kept
    return {number: one.model_copy(update={"counted_to": 0}) for number, one in kept.items()}

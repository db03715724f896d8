"""Step 4: is this version newer than what the registry holds of its key? If so, with which headers does it enter?"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from exchange import record
from exchange.admission.inboxes import Inbox
from exchange.admission.memory import MAX_SEQUENCE, content_of
from exchange.clock import Clock, format_time
from exchange.errors import ExchangeError
from exchange.record import Headers

UNCHANGED = "unchanged"
SUPERSEDED = "superseded"
MAX_AHEAD = timedelta(minutes=5)
"""How far a department's clock may be ahead of ours."""
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_MAX_DIGITS = 19
_ID_BYTES = 16

Identity = Callable[[bytes, bytes], bytes]
"""identity(key, sequence) -> ce_id."""


def open_identity(key: bytes, sequence: bytes) -> bytes:
    """`ce_id` of a record type whose keys are no secret."""
    return b"%b.%b" % (key, sequence)


def closed_identity(key: bytes, sequence: bytes) -> bytes:
    """`ce_id` of a personal record type: does not show the key. Shares that hide keys hash it again, with a secret."""
    return hashlib.blake2b(key + b"\0" + sequence, digest_size=_ID_BYTES).hexdigest().encode()


class Times:
    """Judges `ce_time`. Sources stamp batches, so the last verdict often serves again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[str, bytes] = (record.TIME, b"")

    def header(self, raw: bytes | None) -> tuple[str, bytes]:
        """The `ce_time` header: as it came, or now if none came. Raises ExchangeError(E_TIME_IMPLAUSIBLE)."""
        if raw is None:
            return (record.TIME, format_time(self._clock.now()).encode())
        if raw != self._last[1]:
            self._check(raw)
            self._last = (record.TIME, raw)
        return self._last

    def _check(self, raw: bytes) -> None:
        try:
            moment = datetime.fromisoformat(raw.decode("ascii")) if _TIME.fullmatch(raw) else None
        except ValueError:
            moment = None
        if moment is None or moment > self._clock.now().astimezone(UTC) + MAX_AHEAD:
            raise ExchangeError("E_TIME_IMPLAUSIBLE")


def sequence_of(raw: bytes) -> int:
    """The number of a `ce_sequence`. Raises ExchangeError(E_SEQUENCE)."""
    if len(raw) > _MAX_DIGITS or not raw.isdigit():
        raise ExchangeError("E_SEQUENCE")
    number = int(raw)
    if number > MAX_SEQUENCE:
        raise ExchangeError("E_SEQUENCE")
    return number


class Admitter:
    """Decides on versions against a memory, and keeps the memory up to date. One for each inbox and unit."""

    def __init__(self, inbox: Inbox, known: dict[bytes, int], identity: Identity, times: Times) -> None:
        self._known = known
        self._identity = identity
        self._times = times
        self._version = (record.SPECVERSION, record.CLOUDEVENTS_VERSION)
        self._source = (record.SOURCE, inbox.source)
        self._type = (record.TYPE, inbox.type)
        self._content_type = (record.CONTENT_TYPE, record.AVRO)

    def admit(self, key: bytes, value: bytes | None, headers: dict[str, bytes], offset: int) -> Headers | str:
        """The headers with which a version enters the registry, or why it does not (UNCHANGED, SUPERSEDED).

        Equal sequence and equal bytes: unchanged. Older: superseded. Without `ce_sequence` the inbox offset stands in,
        and equal bytes are unchanged. A withdrawal of an unknown key is unchanged. A withdrawal keeps its sequence, so
        that nothing older rises again. Raises ExchangeError: E_SEQUENCE, E_SEQUENCE_CONFLICT, E_TIME_IMPLAUSIBLE.
        """
        raw = headers.get(record.SEQUENCE)
        sequence = offset if raw is None else sequence_of(raw)
        content = content_of(value)
        old = self._known.get(key)
        if old is None:
            if value is None:
                return UNCHANGED
        else:
            newer = sequence - (old >> 64)
            same = content == old & 0xFFFFFFFFFFFFFFFF
            if newer < 0:
                return SUPERSEDED
            if same and (newer == 0 or raw is None):
                return UNCHANGED
            if newer == 0:
                raise ExchangeError("E_SEQUENCE_CONFLICT")
        time = self._times.header(headers.get(record.TIME))
        self._known[key] = sequence << 64 | content
        digits = raw if raw is not None and raw[0] != 48 else b"%d" % sequence
        return [
            self._version,
            (record.ID, self._identity(key, digits)),
            self._source,
            self._type,
            time,
            self._content_type,
            (record.SEQUENCE, digits),
        ]

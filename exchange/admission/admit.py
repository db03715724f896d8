"""Step 4: is this version newer than what the registry holds of its key? If so, with which headers does it enter?"""

import re
from collections.abc import Callable
from datetime import timedelta
from enum import Enum

from exchange.admission.inboxes import Inbox
from exchange.admission.memory import CONTENT, CONTENT_BITS, MAX_SEQUENCE, content_hash
from exchange.clock import Clock, format_time
from exchange.errors import ExchangeError
from exchange.moments import MOMENT, moment
from exchange.record import (
    AVRO,
    CLOUDEVENTS_VERSION,
    CONTENT_TYPE,
    ID,
    SEQUENCE,
    SOURCE,
    SPECVERSION,
    TIME,
    TYPE,
    Headers,
    identity_of,
)


class Dropped(Enum):
    """Why a good record does not enter the registry."""

    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"


MAX_AHEAD = timedelta(minutes=5)
"""How far a department's clock may be ahead of ours."""
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_MINUTE = len("2026-11-24T08:00:")
_ONE_MINUTE = timedelta(minutes=1)
_SECONDS = re.compile(rb"[0-5]\d(\.\d{1,9})?Z").fullmatch
"""What follows the minute of a time in UTC."""
_TIME_WANTED = f"{TIME}: expected is {MOMENT}, at most {MAX_AHEAD.seconds // 60} minutes ahead of the exchange's clock"
_SEQUENCE_WANTED = f"{SEQUENCE}: expected are the digits of a number from 0 to {MAX_SEQUENCE}"
_MAX_DIGITS = 19
_ZERO = ord("0")


class Times:
    """Judges `ce_time`. Records of one minute come together, so what was found of a minute in UTC serves again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute: bytes | None = None
        """A minute that is over, or nearly, and so plausible with any second."""

    def header(self, raw: bytes | None) -> tuple[str, bytes]:
        """The `ce_time` header: as it came, or now if none came. Raises ExchangeError(E_TIME_IMPLAUSIBLE)."""
        if raw is None:
            return (TIME, format_time(self._clock.now()).encode())
        if raw[:_MINUTE] != self._minute or not _SECONDS(raw, _MINUTE):
            self._check(raw)
        return (TIME, raw)

    def _check(self, raw: bytes) -> None:
        try:
            said = moment(raw.decode("ascii")) if _TIME.fullmatch(raw) else None
        except ValueError:
            said = None
        latest = self._clock.now() + MAX_AHEAD
        if said is None or said > latest:
            raise ExchangeError("E_TIME_IMPLAUSIBLE", _TIME_WANTED)
        if _SECONDS(raw, _MINUTE) and said + _ONE_MINUTE < latest:
            self._minute = raw[:_MINUTE]


def parsed_sequence(raw: bytes) -> int:
    """The number of a `ce_sequence`. Raises ExchangeError(E_SEQUENCE)."""
    if len(raw) > _MAX_DIGITS or not raw.isdigit():
        raise ExchangeError("E_SEQUENCE", _SEQUENCE_WANTED)
    number = int(raw)
    if number > MAX_SEQUENCE:
        raise ExchangeError("E_SEQUENCE", _SEQUENCE_WANTED)
    return number


class Admitter:
    """Decides on versions against a memory, and keeps the memory up to date. One for each inbox and unit."""

    def __init__(self, inbox: Inbox, known: dict[bytes, int], times: Times, repeated: Callable[[bytes], None]) -> None:
        self._known = known
        self._repeated = repeated
        """Told the key of a withdrawal whose sequence is new and is to be kept, although it does not enter."""
        self._time = times.header
        self._version = (SPECVERSION, CLOUDEVENTS_VERSION)
        self._source = (SOURCE, inbox.source)
        self._type = (TYPE, inbox.type)
        self._content_type = (CONTENT_TYPE, AVRO)

    def admit(self, key: bytes, value: bytes | None, headers: dict[str, bytes], offset: int) -> Headers | Dropped:
        """The headers with which a version enters the registry, or why it does not.

        Equal sequence and equal bytes: unchanged. Older: superseded. Without `ce_sequence` the inbox offset stands in,
        and equal bytes are unchanged. A withdrawal of an unknown or a withdrawn key is unchanged. Each one
        keeps its sequence, so that nothing older rises again.

        Raises ExchangeError: E_SEQUENCE, E_SEQUENCE_CONFLICT, E_TIME_IMPLAUSIBLE.
        """
        raw = headers.get(SEQUENCE)
        sequence = offset if raw is None else parsed_sequence(raw)
        version = sequence << CONTENT_BITS | content_hash(value)
        old = self._known.get(key)
        if old is not None:
            newer = sequence - (old >> CONTENT_BITS)
            if newer < 0:
                return Dropped.SUPERSEDED
            if value is None and newer and not old & CONTENT:
                self._known[key] = version
                self._repeated(key)
                return Dropped.UNCHANGED
            if version == old or (raw is None and (version ^ old) & CONTENT == 0):
                return Dropped.UNCHANGED
            if newer == 0:
                raise ExchangeError("E_SEQUENCE_CONFLICT")
        elif value is None:
            return Dropped.UNCHANGED
        time = self._time(headers.get(TIME))
        self._known[key] = version
        digits = raw if raw is not None and raw[0] != _ZERO else b"%d" % sequence
        identity = (ID, identity_of(key, digits))
        return [self._version, identity, self._source, self._type, time, self._content_type, (SEQUENCE, digits)]

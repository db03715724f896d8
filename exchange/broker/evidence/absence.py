"""Grantees that were away for longer than tombstones are kept: what they read on from may lack withdrawals.

Told from offsets alone, so that a restarted broker sees the same: the grantee has taken something, but not all that
was appended before tombstones are dropped. Whoever has not begun reads from the beginning anyway. It holds until the
grantee has passed that place, by reading the share again from its beginning or against the advice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from exchange.broker.seams import Offsets
from exchange.names import GrantId

Place = tuple[str, int]
_MARKER = 1
"""The end of a transaction takes an offset, behind which a client that has read all of it need not stand."""


def absent(
    kafka: Offsets,
    committed: Mapping[GrantId, Mapping[Place, int]],
    ends: Mapping[Place, int],
    now: datetime,
    kept: timedelta,
) -> frozenset[GrantId]:
    """The grants whose grantees have to read their share again. committed: what each has taken of its share.

    kept: how long a tombstone stays at least. Kafka's answer by time is exact to a transaction, because the markers of
    transactions stay as long as tombstones do, and heartbeats make some every day.
    """
    behind = {
        place
        for offsets in committed.values()
        for place, offset in offsets.items()
        if 0 < offset < ends.get(place, 0) - _MARKER
    }
    if not behind:
        return frozenset()
    found = kafka.offsets_for_time(behind, int((now - kept).timestamp() * 1000))
    kept_from = {place: ends[place] if offset is None else offset for place, offset in found.items()}
    return frozenset(
        grant
        for grant, offsets in committed.items()
        if any(place in behind and offset < kept_from[place] - _MARKER for place, offset in offsets.items())
    )

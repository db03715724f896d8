"""What an observation of a grant means: first delivered or not, and which causes of a breach are open. Pure.

The definition is `interfaces.md` §6: fresh is a grant of which the oldest record not taken is younger than the agreed
freshness (else cause `grantee`), for which the exchange's lines are not further behind than that (`exchange`), and
whose source gave a sign of life within its update cycle (`provider`). Beside it, connectors must not set aside more
than `said.py` tolerates: a source's is a breach of the `provider`, a sink's one of the `grantee`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange.broker.grants.freshness import EXCHANGE_CAUSE, GRANTEE, PROVIDER


@dataclass(frozen=True, slots=True)
class Untaken:
    """The oldest record of a partition that the grantee has not taken."""

    offset: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of one grant at one moment. Partitions are numbers."""

    ends: Mapping[int, int]
    """End of every partition of the share, seen after `committed`."""
    committed: Mapping[int, int]
    """What the grantee says it has taken; a partition without a word is absent."""
    untaken: Mapping[int, Untaken]
    """Records at or after the committed offset, heartbeats not counted; a partition without one is absent."""
    stood: Mapping[int, int] | None
    """The end of each partition when the share had joined and the grant was active; None while it has not joined."""
    began_empty: bool
    """Whether no record stood before those ends."""
    exchange_behind: timedelta
    """Age of the oldest record that the lines have not passed on."""
    suspended_since: datetime | None
    """Since when the delivery line has left the share out, after an error."""
    source_seen: datetime
    """The last sign of life of the source, or when the grant became active, before there was one."""
    source_sets_aside: datetime | None = None
    """Since when a source of the provider has set aside more than is tolerated."""
    sink_sets_aside: datetime | None = None
    """Since when the grantee's sink has."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed."""

    freshness: timedelta
    update_cycle: timedelta


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sight comes to."""

    delivered: bool
    """Whether the first delivery is complete."""
    empty: bool
    """Whether that is so because nothing stood there."""
    broken: Mapping[str, datetime] = field(default_factory=dict)
    """Open causes and since when."""
    set_aside: frozenset[str] = frozenset()
    """Those of them that nothing but what is set aside opens."""
    lag: timedelta = timedelta()
    """Age of the oldest record that the grantee has not taken."""


def judge(sight: Sight, agreed: Agreed, now: datetime) -> Verdict:
    """The verdict on `sight` at `now`."""
    broken: dict[str, datetime] = {}
    oldest = min((record.at for record in sight.untaken.values()), default=None)
    lag = now - oldest if oldest is not None else timedelta()
    if implausible(sight):
        broken[GRANTEE] = now
    elif oldest is not None and lag > agreed.freshness:
        broken[GRANTEE] = oldest + agreed.freshness
    if sight.suspended_since is not None:
        broken[EXCHANGE_CAUSE] = sight.suspended_since
    elif sight.exchange_behind > agreed.freshness:
        broken[EXCHANGE_CAUSE] = now - sight.exchange_behind + agreed.freshness
    if now - sight.source_seen > agreed.update_cycle:
        broken[PROVIDER] = sight.source_seen + agreed.update_cycle
    aside = {GRANTEE: sight.sink_sets_aside, PROVIDER: sight.source_sets_aside}
    alone = frozenset(cause for cause, since in aside.items() if since is not None and cause not in broken)
    for cause, since in aside.items():
        if since is not None:
            broken[cause] = min(since, broken.get(cause, since))
    delivered = _delivered(sight)
    return Verdict(delivered, delivered and sight.began_empty, broken, alone, max(lag, timedelta()))


def implausible(sight: Sight) -> bool:
    """Whether the grantee says it has taken what does not exist: an offset is its own word."""
    return any(offset > sight.ends.get(partition, 0) for partition, offset in sight.committed.items())


def _delivered(sight: Sight) -> bool:
    """Whether everything has been taken that stood there when the share had joined on all partitions."""
    if sight.stood is None or implausible(sight):
        return False
    return all(
        partition not in sight.untaken or sight.untaken[partition].offset >= end
        for partition, end in sight.stood.items()
    )

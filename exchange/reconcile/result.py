"""What a half of a reconciliation found, and what of it the exchange is told: counts and a moment, no key.

The grantee's half stands in `receipt.<grant>` under the key `reconcile`, the provider's in `report.<provider>` under
the key `reconcile/<grant>`. The value is JSON in UTF-8:

    {"half": "grantee", "at": "2026-11-24T08:00:00.000Z", "compared": 812, "equal": 809, "altered": 1, "missing": 1,
     "extra": 1, "set_aside": 0, "waiting": 0, "unread": 0}
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from exchange.clock import format_time, parse_time
from exchange.names import GrantId

RESULT_KEY = b"reconcile"
"""Of the grantee's result in the topic of its receipts."""
_OF_PROVIDER = b"reconcile/"
MOST_LISTED = 1000
"""Differences that are named; all are counted."""
_COUNTS = ("compared", "equal", "altered", "missing", "extra", "set_aside", "waiting", "unread")


class Half(StrEnum):
    """Which way is compared."""

    GRANTEE = "grantee"
    """The grantee's table with the share."""
    PROVIDER = "provider"
    """The share with the provider's table."""


class Kind(StrEnum):
    """What is wrong with a key."""

    ALTERED = "altered"
    """Both sides have it, with different content."""
    MISSING = "missing"
    """It did not arrive: not in the grantee's table, or not in the share."""
    EXTRA = "extra"
    """It stands where it ends, but not where it should come from."""
    SET_ASIDE = "set_aside"
    """The grantee's table refuses the record, or its withdrawal; the sink keeps it."""
    WAITING = "waiting"
    """It is on its way, or changes while it is looked at."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that is not the same on both sides. Its repr does not show the key."""

    kind: Kind
    key: str = field(repr=False)
    fields: tuple[str, ...] = ()
    """Names of the fields that differ, of an altered record of which both sides are read again."""


@dataclass(slots=True)
class Result:
    """The counts of one half."""

    half: Half
    at: datetime
    compared: int = 0
    """Keys of both sides together."""
    equal: int = 0
    altered: int = 0
    missing: int = 0
    extra: int = 0
    set_aside: int = 0
    waiting: int = 0
    unread: int = 0
    """Rows of the provider's table that cannot be read or mapped: their keys are not known."""

    @property
    def differences(self) -> int:
        """Keys that are not equal and not on their way."""
        return self.altered + self.missing + self.extra + self.set_aside

    @property
    def holds(self) -> bool:
        """Whether both sides are the same, without a reservation."""
        return self.differences == self.waiting == self.unread == 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with the keys, for their owner's eyes only."""

    grant: GrantId
    result: Result
    differences: list[Difference]
    """At most MOST_LISTED of them."""
    compared_with: str
    """What was compared with the share: the table, or the sources."""
    notes: tuple[str, ...] = ()
    """Sentences on what was not compared, and why."""


def counted(
    half: Half, at: datetime, compared: int, differences: Iterable[Difference]
) -> tuple[Result, list[Difference]]:
    """The result of all `differences` among `compared` keys, and those of them that are named."""
    result = Result(half, at, compared)
    named: list[Difference] = []
    for one in differences:
        setattr(result, one.kind.value, getattr(result, one.kind.value) + 1)
        if len(named) < MOST_LISTED:
            named.append(one)
    result.equal = compared - result.differences - result.waiting
    return result, named


def encode(grant: GrantId, result: Result) -> tuple[bytes, bytes]:
    """Key and value of a result in its topic."""
    key = RESULT_KEY if result.half is Half.GRANTEE else _OF_PROVIDER + grant.encode()
    value = {**asdict(result), "at": format_time(result.at)}
    return key, json.dumps(value, separators=(",", ":")).encode()


def grant_of(key: bytes | None) -> GrantId | None:
    """The grant of a provider's result, by its key in `report.<provider>`; None for another key."""
    if key is None or not key.startswith(_OF_PROVIDER):
        return None
    return GrantId(key.removeprefix(_OF_PROVIDER).decode("utf-8", "replace"))


def decode(value: bytes | None, half: Half) -> Result | None:
    """The result in a value, or None when it is none of this half: a department may write anything into its topics."""
    try:
        found: dict[str, Any] = json.loads(value or b"")
        result = Result(Half(found["half"]), parse_time(found["at"]), **{name: found[name] for name in _COUNTS})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    counts = (getattr(result, name) for name in _COUNTS)
    good = all(type(count) is int and 0 <= count < 1 << 63 for count in counts)
    return result if good and result.half is half else None


def view(result: Result | None) -> dict[str, Any] | None:
    """A result as the API shows it."""
    if result is None:
        return None
    return {**asdict(result), "at": format_time(result.at), "holds": result.holds}

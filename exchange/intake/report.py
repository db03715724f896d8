"""Reports: what a source says of itself in `report.<department>`. Counts and moments, nothing of the rows.

Key: the connector's name. Value, JSON in UTF-8:

    {"connector": "health.deaths", "record_type": "population.death", "state": "working", "code": null,
     "since": "2026-11-24T08:00:00.000Z", "rows": 812, "set_aside": 3, "set_aside_since": "2026-11-24T07:00:00.000Z",
     "compared_at": "…", "equal": 809, "missing": 0, "changed": 0, "gone": 0, "held": 0, "at": "…"}

`rows` is the number of rows at the last whole reading, `set_aside` how many of the source's rows wait now. `held` rows
are gone from the source and not withdrawn. Moments are RFC 3339 in UTC, or null where there is none yet.
"""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum

from exchange.clock import format_time, parse_time

_MOMENTS = ("since", "set_aside_since", "compared_at", "at")
_COUNTS = ("rows", "set_aside", "equal", "missing", "changed", "gone", "held")
_LONGEST = 200
"""Characters of a name or code in a report that is believed: the topic is written by a department."""


class SourceState(StrEnum):
    """How a source is."""

    WORKING = "working"
    AWAY = "away"
    """Database, file or Kafka cannot be reached; it waits."""
    STOPPED = "stopped"
    """It has ended with an error that waiting does not mend."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The state of one source."""

    connector: str
    record_type: str
    state: SourceState
    code: str | None
    """The error behind `away` and `stopped`."""
    since: datetime
    """Since when the state holds."""
    at: datetime
    rows: int = 0
    set_aside: int = 0
    set_aside_since: datetime | None = None
    compared_at: datetime | None = None
    equal: int = 0
    missing: int = 0
    changed: int = 0
    gone: int = 0
    held: int = 0


def encode(report: SourceReport) -> tuple[bytes, bytes]:
    """Key and value of a report."""
    value = asdict(report)
    for name in _MOMENTS:
        value[name] = None if value[name] is None else format_time(value[name])
    return report.connector.encode(), json.dumps(value, separators=(",", ":")).encode()


def decode(value: bytes) -> SourceReport | None:
    """The report, or None for bytes that are none: a department may write anything into its topic."""
    try:
        found = json.loads(value)
        known = {one.name: found[one.name] for one in fields(SourceReport)}
        known["state"] = SourceState(known["state"])
        for name in _MOMENTS:
            known[name] = None if known[name] is None else parse_time(known[name])
        report = SourceReport(**known)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return report if _plausible(report) else None


def _plausible(report: SourceReport) -> bool:
    counts = (getattr(report, name) for name in _COUNTS)
    texts = (report.connector, report.record_type, report.code or "")
    return (
        all(type(count) is int and count >= 0 for count in counts)
        and all(isinstance(text, str) and len(text) <= _LONGEST for text in texts)
        and report.since is not None
        and report.at is not None
    )

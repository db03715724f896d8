"""What of a record a grant gives, by its terms as the broker service shows them: rows, fields, masks.

Written from the documentation of the terms, apart from the delivery line: one may be wrong without the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from exchange.avro.record_schema import EXPIRES_AT

PSEUDONYM = "pseudonym"
"""A mask that only the exchange can compute."""
_CHINA = timezone(timedelta(hours=8))
_SHORT = 4


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """The terms of a grant."""

    fields: tuple[str, ...]
    masks: Mapping[str, str]
    scope: tuple[Mapping[str, Any], ...]
    """Conditions that all hold: `field`, `operator` (equals, in, prefix), `values`."""
    pseudonymous: bool

    @classmethod
    def of(cls, grant: Mapping[str, Any]) -> "GrantTerms":
        """The terms in a grant as `/v1/grants/{id}` shows it."""
        return cls(tuple(grant["fields"]), dict(grant["masks"]), tuple(grant["scope"]), bool(grant["pseudonymous"]))

    @property
    def not_computable(self) -> frozenset[str]:
        """Fields whose values only the exchange can compute."""
        return frozenset(name for name, mask in self.masks.items() if mask == PSEUDONYM)

    def cut(self, record: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
        """What the share holds of a record; None for one that it does not hold."""
        if _has_ended(record.get(EXPIRES_AT), now) or not all(_meets(record, condition) for condition in self.scope):
            return None
        return {name: _shown(record.get(name), self.masks.get(name)) for name in self.fields}


def _meets(record: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    value, wanted = record.get(condition["field"]), condition["values"]
    if not isinstance(value, str):
        return False
    if condition["operator"] == "prefix":
        return value.startswith(str(wanted[0]))
    return any(value == one for one in wanted)


def _shown(value: Any, mask: str | None) -> Any:
    if value is None or mask is None or mask == PSEUDONYM:
        return value
    if mask == "year":
        return f"{_day(value).year:04d}"
    text = str(value)
    if mask == "ends" and len(text) >= _SHORT:
        return f"{text[0]}**{text[-1]}"
    return f"{text[:1]}**"


def _day(value: Any) -> date:
    """A moment is a day in China."""
    if isinstance(value, datetime):
        return (value.astimezone(_CHINA) if value.tzinfo else value).date()
    if not isinstance(value, date):
        raise TypeError
    return value


def _has_ended(end: Any, now: datetime) -> bool:
    """A day is the last of its period in China; a moment is its end."""
    if isinstance(end, datetime):
        return (end if end.tzinfo else end.replace(tzinfo=_CHINA)) <= now
    if isinstance(end, date):
        return datetime(end.year, end.month, end.day, tzinfo=_CHINA) + timedelta(days=1) <= now
    return False

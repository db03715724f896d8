"""Moments that come from outside: RFC 3339 with a zone, of the years 2000 to 2999 as they are written.

Nothing is guessed: `20270101`, which GB/T 7408 calls the basic form of a date, is no number of seconds since 1970, and
a time without zone is nobody's. What the exchange has written itself is read by `exchange.clock.parse_time`.
"""

import re
from datetime import date, datetime, timedelta
from typing import Final

from exchange.calendar import ZONE
from exchange.errors import ExchangeError

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2999
MOMENT: Final = f"a moment is RFC 3339 with a zone, between the years {FIRST_YEAR} and {LAST_YEAR}"
DAY: Final = f"a day is written as 2026-12-31, between the years {FIRST_YEAR} and {LAST_YEAR}"

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?P<fraction>\.\d{1,30})?"
    r"(?P<zone>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
"""RFC 3339, section 5.6, `date-time`. Without the second 60, which the moments of no program here can hold."""
_MICROSECOND_DIGITS = 7
"""With the point. What is finer is cut off."""


def moment(text: object) -> datetime:
    """The aware moment of an RFC 3339 text. Raises ValueError, which names no value, for everything else."""
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(MOMENT)
    fraction = (found["fraction"] or ".")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")
    try:
        value = datetime.fromisoformat(f"{found['second']}{fraction}{found['zone']}".upper())
    except ValueError:
        raise ValueError(MOMENT) from None
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(MOMENT)
    return value


def day(text: object) -> date:
    """The day of a text like `2026-12-31`. Raises ValueError, which names no value, for everything else."""
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        raise ValueError(DAY)
    try:
        value = date.fromisoformat(text)
    except ValueError:
        raise ValueError(DAY) from None
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(DAY)
    return value


def beginning(day_: date) -> datetime:
    """The first moment of a day of Asia/Shanghai."""
    return datetime(day_.year, day_.month, day_.day, tzinfo=ZONE)


def end(day_: date) -> datetime:
    """The first moment after a day of Asia/Shanghai."""
    return beginning(day_ + timedelta(days=1))


def given(text: str, option: str, last: bool = False) -> datetime:
    """The moment that an option of a command names, also by a plain day of Asia/Shanghai.

    A day is its first moment; as the `last` one of a period it is part of it. Raises ExchangeError(E_REQUEST).
    """
    try:
        if _DAY.fullmatch(text):
            return end(day(text)) if last else beginning(day(text))
        return moment(text)
    except ValueError:
        why = f"{option} is a moment, RFC 3339 with its zone (2026-11-24T08:00:00+08:00), or a day (2026-11-24)"
        raise ExchangeError("E_REQUEST", f"{why}, between the years {FIRST_YEAR} and {LAST_YEAR}") from None

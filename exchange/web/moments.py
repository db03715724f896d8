"""Moments that callers send: RFC 3339 with a zone, between the years 2000 and 2999 (`interfaces.md` §5).

Nothing is guessed: `20270101`, which GB/T 7408 calls the basic form of a date, is no number of seconds since 1970.
"""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 2000, 2999
_WANTED = f"a moment is RFC 3339 with a zone, between the years {_FIRST_YEAR} and {_LAST_YEAR}"


def _moment(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(value.upper()) if _FORM.fullmatch(value.upper()) else None
        if found is not None and _FIRST_YEAR <= found.year <= _LAST_YEAR:
            return found
    except (AttributeError, ValueError):
        pass
    raise ValueError(_WANTED)


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "description": _WANTED}),
]
"""A moment of a body or a query."""

"""Lists page by cursor: the cursor holds where the last page ended, so new entries never shift a page."""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query

from exchange.broker.seams import Ledger
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import LedgerState

T = TypeVar("T")
_DEFAULT = 100
_MOST = 500
_PART = 25
"""Entries that are looked at while the ledger is held: about a millisecond."""


Look = Callable[[LedgerState, str], dict[str, Any] | None]
"""What a list shows of the entry with this id; None when it does not show it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for."""

    limit: int
    after: str | None
    """The id after which the page begins."""

    def of(self, entries: Iterable[tuple[str, T]]) -> tuple[list[T], str | None]:
        """The entries of this page, in the order of their ids, and the cursor of the next page."""
        ordered = sorted(entries, key=lambda entry: _order(entry[0]))
        rest = [entry for entry in ordered if self.after is None or _order(entry[0]) > _order(self.after)]
        page = rest[: self.limit]
        return [item for _, item in page], cursor_of(page[-1][0]) if len(rest) > len(page) else None

    def through(self, ledger: Ledger, ids: Callable[[LedgerState], Iterable[str]], look: Look) -> dict[str, Any]:
        """The answer of a list, looked through from where the page begins to where it ends.

        The ledger is held for a few entries at a time, never for the whole list: nobody waits for a long one.
        """
        names = sorted(ledger.read(lambda state: list(ids(state))), key=_order)
        begin = 0 if self.after is None else bisect_right(names, _order(self.after), key=_order)
        found: list[tuple[str, dict[str, Any]]] = []
        while begin < len(names) and len(found) <= self.limit:
            part = names[begin : begin + _PART]
            found += ledger.read(lambda state, part=part: _shown(state, part, look))  # type: ignore[misc]
            begin += _PART
        page = found[: self.limit]
        following = cursor_of(page[-1][0]) if len(found) > len(page) else None
        return answer([shown for _, shown in page], following)


def _shown(state: LedgerState, part: list[str], look: Look) -> list[tuple[str, dict[str, Any]]]:
    return [(name, shown) for name in part if (shown := look(state, name)) is not None]


async def page(
    limit: Annotated[int, Query(ge=1, le=_MOST, description="most entries of one page")] = _DEFAULT,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before")] = None,
) -> Page:
    """The page that a request asks for. Raises ExchangeError(E_REQUEST) for a cursor that is none of ours."""
    return Page(limit, None if cursor is None else _text(cursor))


async def long_page(
    limit: Annotated[int, Query(ge=1, le=_MOST, description="most entries of one page")] = _MOST,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before")] = None,
) -> Page:
    """The same for a list that is mostly wanted as a whole. Raises ExchangeError(E_REQUEST)."""
    return await page(limit, cursor)


def answer(items: list[Any], following: str | None) -> dict[str, Any]:
    """The form of every list."""
    return {"items": items, "next": following}


def _order(name: str) -> tuple[int, str]:
    """Numbered ids in the order of their numbers (`d-9` before `d-10`)."""
    return len(name), name


def cursor_of(name: str) -> str:
    """The cursor of the page that begins after `name`."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def _text(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ExchangeError("E_REQUEST", "cursor: it is none that this list gave") from None


PageOf = Annotated[Page, Depends(page)]
LongPageOf = Annotated[Page, Depends(long_page)]

"""Lists page by cursor: the cursor holds where the last page ended, so new entries never shift a page."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query

from exchange.errors import ExchangeError

T = TypeVar("T")
_DEFAULT = 100
_MOST = 500


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

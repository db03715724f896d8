"""Step one: take rows from the department's source, and wait for it when it is away."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import TypeVar

import structlog

from exchange.backoff import Backoff
from exchange.connect.reading import Counting, Cursor, Page, Reader
from exchange.errors import Action, ExchangeError
from exchange.intake.health import Health

PAGE_ROWS = 500
"""Rows along the cursor that are collected, submitted and booked together."""
WHOLE_ROWS = 1_000
"""Rows of a whole reading that are held against the memory together."""
MOST_LEFT = 100_000
"""Rows up to which those left along a cursor are counted."""
_BACKOFF = Backoff(first=0.5, longest=30.0)
_log = structlog.get_logger("exchange.intake")
_Found = TypeVar("_Found")


class Collector:
    """Asks a reader. One that is away is asked again with growing pauses, and the health of the source says so.

    Every method raises ExchangeError for what waiting does not mend.
    """

    def __init__(self, reader: Reader, health: Health) -> None:
        self.reader = reader
        self._health = health

    def page(self, cursor: Cursor, stop: threading.Event) -> Page | None:
        """The next page after `cursor`, or None when there is nothing new or `stop` is set."""
        return self._until(lambda: self.reader.page(cursor, PAGE_ROWS), stop)

    def tell_left(self, cursor: Cursor) -> None:
        """Tell how many rows are left behind `cursor`, where the reader can count them. Failing is left to `page`."""
        if not isinstance(self.reader, Counting):
            return
        with suppress(ExchangeError):
            self._health.left(self.reader.rows_left(cursor, MOST_LEFT))

    def due(self, cursor: Cursor | None, stop: threading.Event) -> bool:
        """Whether the source itself asks for a whole reading."""
        return bool(self._until(lambda: self.reader.due(cursor), stop))

    def whole(self, stop: threading.Event) -> Generator[Page, None, None]:
        """The pages of a whole reading. One that breaks off raises what broke it: it is begun anew by the caller.

        A source that is away at the beginning is waited for; then there are no pages when `stop` is set.
        """
        pages = self._until(self._begun, stop)
        if pages is None:
            return
        first, rest = pages
        rows = len(first.rows)
        try:
            with closing(rest):
                self._health.whole_read(rows)
                yield first
                for page in rest:
                    rows += len(page.rows)
                    self._health.whole_read(rows)
                    yield page
        finally:
            self._health.whole_read(None)

    def _begun(self) -> "tuple[Page, Pages]":
        pages = Pages(self.reader.whole(WHOLE_ROWS))
        try:
            return next(pages), pages
        except BaseException:
            pages.close()
            raise

    def _until(self, ask: Callable[[], _Found], stop: threading.Event) -> _Found | None:
        for attempt in _BACKOFF.attempts(stop):
            try:
                found = ask()
            except ExchangeError as error:
                if error.entry.action is not Action.RETRY:
                    raise
                self._health.away(error, attempt)
                continue
            self._health.back()
            return found
        return None


class Pages:
    """The pages of a reader's whole reading, which can be closed even when the reader gives a plain iterator."""

    def __init__(self, pages: Iterator[Page]) -> None:
        self._pages = pages

    def __iter__(self) -> Iterator[Page]:
        return self

    def __next__(self) -> Page:
        return next(self._pages)

    def close(self) -> None:
        """Let go of the reading."""
        if close := getattr(self._pages, "close", None):
            close()

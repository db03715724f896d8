"""Step one: take the next rows from the department's source, and wait for it when it is away."""

import threading

import structlog

from exchange.backoff import Backoff
from exchange.connect.reading import Cursor, Page, Reader
from exchange.errors import Action, ExchangeError

PAGE_ROWS = 500
"""Rows that are collected, submitted and booked together."""
_BACKOFF = Backoff(first=0.5, longest=30.0)
_log = structlog.get_logger("exchange.intake")


def collect(reader: Reader, cursor: Cursor | None, stop: threading.Event) -> Page | None:
    """The next page after `cursor`, or None when there is nothing new or `stop` is set.

    A source that cannot be read is tried again, with growing pauses. Raises ExchangeError for what waiting won't mend.
    """
    for _ in _BACKOFF.attempts(stop):
        try:
            return reader.page(cursor, PAGE_ROWS)
        except ExchangeError as error:
            if error.entry.action is not Action.RETRY:
                raise
            _log.warning("intake.source_away", stage=error.entry.stage, code=error.code, detail=error.detail)
    return None

"""Logs: events with keys, JSON when nobody sits before the terminal. No payload gets through."""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exchange.errors import ExchangeError

FORBIDDEN = frozenset(
    {"key", "keys", "value", "values", "payload", "body", "record", "records_seen", "row", "rows", "headers", "message"}
    | {"password", "secret", "token", "authorization"}
)
"""Keys under which payload or a secret would travel. Their values never reach a log."""
MASK = "<left out>"


def leave_out_payload(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: whatever stands under a forbidden key is left out; bytes never appear at all."""
    for name, found in event.items():
        if name in FORBIDDEN or isinstance(found, bytes | bytearray | memoryview):
            event[name] = MASK
    return event


def tell_codes_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: an exception is told by its kind, code and place; its text could hold a field value."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()[1]
    elif isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["error"] = type(found).__name__
        if isinstance(found, ExchangeError):
            event["code"] = found.code
        event["at"] = place_of(found)
    return event


def place_of(error: BaseException) -> str:
    """Where an exception was raised (`module:line in function`), without its text."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None:
        return "unknown"
    frame = at.tb_frame
    return f"{frame.f_globals.get('__name__', '?')}:{at.tb_lineno} in {frame.f_code.co_name}"


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Set up logging for this process: to `stream` (default: stderr), in `level` (debug, info, warning or error)."""
    out = stream if stream is not None else sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer: list[Processor]
    if out.isatty():
        renderer = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        renderer = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            tell_codes_only,
            leave_out_payload,
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # what libraries say through the standard library: warnings and worse, by the name of their logger only
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


class _Bridge(logging.Handler):
    """Turns a library's log line into an event. Its text is left out: it may quote what the library worked on."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of a library."""
        structlog.get_logger(record.name).log(
            record.levelno, "library", logger=record.name, at=f"{record.module}:{record.lineno}"
        )


def get_logger(name: str, **bound: Any) -> Any:
    """A structlog logger; `bound` keys (line=…, stage=…) go with every event."""
    return structlog.get_logger(component=name, **bound)

"""Logs: events with keys, JSON when nobody sits before the terminal. No payload gets through."""

import logging
import re
import sys
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exchange.errors import ExchangeError
from exchange.observe.repeats import Repeats

FORBIDDEN = frozenset(
    {"key", "keys", "value", "values", "payload", "body", "record", "records_seen", "row", "rows", "headers", "message"}
    | {"password", "secret", "token", "authorization"}
)
"""Keys under which payload or a secret would travel. Their values never reach a log."""
MASK = "<left out>"
_OF_MACHINES: Final = frozenset({"asyncio", "kafka", "librdkafka", "uvicorn"})
"""Libraries that never see a record: their texts speak of connections, tasks and processes."""
_LONGEST_TEXT: Final = 300
_QUOTED: Final = re.compile(r"""(?<![A-Za-z0-9])'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)""")
_ADDRESS_OF_MAIL: Final = re.compile(r"\S+@\S+")
_NUMBER: Final = re.compile(r"[0-9A-Za-z]*[0-9]{6,}[0-9A-Za-z]*")
"""Identifiers, credit codes, telephone numbers."""
_FOREIGN: Final = re.compile(r"[^\x20-\x7e]+(?:[ ]*[^\x20-\x7e]+)*")


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
    number = logging.getLevelNamesMapping()[level.upper()]
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
            Repeats(),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # what libraries say through the standard library: warnings and worse
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


class _Bridge(logging.Handler):
    """Turns a library's log line into an event, with its text as far as that cannot quote what it worked on."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of a library."""
        told = {"logger": record.name, "at": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0] is not None:
            told["fault"] = record.exc_info[0].__name__
        if text := _said(record):
            told["text"] = text
        structlog.get_logger(record.name).log(record.levelno, "library", **told)


def _said(record: logging.LogRecord) -> str:
    """The text of a library's line.

    Of those that speak of connections and processes only, the whole text; of others the words of their code, without
    what is put into them. A text that was put together before it came here says nothing of what it is made of: it is
    left out.
    """
    template = str(record.msg)
    if record.name.partition(".")[0] in _OF_MACHINES:
        try:
            return scrubbed(record.getMessage())
        except (TypeError, ValueError):
            return scrubbed(template)
    return scrubbed(template) if record.args else ""


def scrubbed(text: str) -> str:
    """The text of a library, bounded in length; what stands in quotes, long numbers and anything but ASCII is left out.

    So host names, ports, states and counts stay, and what may be a value, a name of a person or a number of one goes.
    """
    line = " ".join(text[: 4 * _LONGEST_TEXT].split())
    for form in (_QUOTED, _ADDRESS_OF_MAIL, _NUMBER, _FOREIGN):
        line = form.sub(MASK, line)
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def get_logger(name: str, **bound: Any) -> Any:
    """A structlog logger; `bound` keys (line=…, stage=…) go with every event."""
    return structlog.get_logger(component=name, **bound)

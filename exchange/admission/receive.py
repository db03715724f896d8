"""Step 1: the outside of a record: its size, its key, its headers. Nothing in a header is believed."""

from collections.abc import Mapping

from exchange.admission.inboxes import Inbox
from exchange.errors import ExchangeError
from exchange.names import HEARTBEAT_KEY
from exchange.quarantine.redriven import RESERVED
from exchange.record import CONTENT_TYPE, ID, MAX_VALUE_BYTES, SEQUENCE, SOURCE, SPECVERSION, TIME, TYPE, Headers

MAX_KEY_BYTES = 512
"""What the index of every database that grantees use can hold."""
MAX_HEADERS = 32
MAX_HEADER_BYTES = 8_192
_KNOWN = frozenset({SPECVERSION, ID, SOURCE, TYPE, TIME, CONTENT_TYPE, SEQUENCE})
_is_known = _KNOWN.issuperset


def receive(key: bytes | None, value: bytes | None, headers: Headers | None, inbox: Inbox) -> dict[str, bytes]:
    """The known headers of a record by name; unknown ones are stripped.

    A refusal names the header and what is expected of it, never what came. A withdrawal may have a longer key: of a
    record that is held it must pass, of one that is not it changes nothing.

    Raises ExchangeError: E_TOO_LARGE, E_KEY_MISSING, E_KEY_RESERVED, E_KEY_TOO_LONG, E_HEADERS, E_HEADER_FORGED.
    """
    if value is not None and len(value) > MAX_VALUE_BYTES:
        raise ExchangeError("E_TOO_LARGE")
    if not key:
        raise ExchangeError("E_KEY_MISSING")
    if key == HEARTBEAT_KEY:
        raise ExchangeError("E_KEY_RESERVED")
    if len(key) > MAX_KEY_BYTES and value is not None:
        raise ExchangeError("E_KEY_TOO_LONG")
    if not headers:
        return {}
    found = dict(headers)
    if len(found) != len(headers) or not _is_known(found):
        found = _known(headers)
    try:
        size = len(b"".join(found.values()))
    except TypeError:
        raise ExchangeError("E_HEADERS", f"{', '.join(_without_value(found))}: a header without value") from None
    if size > MAX_HEADER_BYTES:
        raise _too_many()
    if (TYPE in found and found[TYPE] != inbox.type) or (SOURCE in found and found[SOURCE] != inbox.source):
        raise _of_another(found, inbox)
    return found


def _without_value(found: Mapping[str, bytes | None]) -> list[str]:
    return [name for name, value in found.items() if value is None]


def _too_many() -> ExchangeError:
    return ExchangeError("E_HEADERS", f"at most {MAX_HEADERS} headers with {MAX_HEADER_BYTES:,} bytes together")


def _of_another(found: Mapping[str, bytes], inbox: Inbox) -> ExchangeError:
    """What the headers that claim another type or source have to say."""
    expected = {TYPE: inbox.type, SOURCE: inbox.source}
    wrong = [f"{name}: {wanted.decode()}" for name, wanted in expected.items() if found.get(name, wanted) != wanted]
    return ExchangeError("E_HEADER_FORGED", f"expected in this inbox, or left out, is {', '.join(wrong)}")


def _known(headers: Headers) -> dict[str, bytes]:
    """The known headers of a record that also has others, or one twice."""
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value or b"") for name, value in headers) > MAX_HEADER_BYTES:
        raise _too_many()
    found: dict[str, bytes] = {}
    for name, value in headers:
        if name.lower().startswith(RESERVED):
            raise ExchangeError("E_HEADER_FORGED", f"expected is no header whose name begins with {RESERVED}")
        if name in found:
            raise ExchangeError("E_HEADER_FORGED", f"{name}: expected once")
        if name in _KNOWN:
            found[name] = value
    return found

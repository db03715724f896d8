"""What a request may be, before anybody looks at what it asks for: its form, its size, and the time that it takes.

What two readers could take for different things is refused, not interpreted: two lengths of a body (RFC 9112 §6.3), two
members of one name in an object, numbers that JSON has not (RFC 8259 §4, §6).
"""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import ExchangeError
from exchange.web.problems import problem

MOST_BYTES: Final = 262_144
"""Of a body. Nothing of the API needs more."""
MOST_HEADERS: Final = 100
MOST_HEADER_BYTES: Final = 32_768
BODY_SECONDS: Final = 30.0
_VERSIONS: Final = ("1.0", "1.1")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_MOST_LENGTH_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class RequestBounds:
    """Passes on requests of a plain form whose body is small and comes in time; ends the connections of others."""

    app: ASGIApp
    body_seconds: float = BODY_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _check_head(scope)
            async with asyncio.timeout(self.body_seconds):
                body = await _body(receive)
            if body is None:  # it has gone
                return
            if body and _is_json(scope):
                _check_json(bytes(body))
        except TimeoutError:
            await _refuse(ExchangeError("E_REQUEST_SLOW"), scope, receive, send)
        except ExchangeError as error:
            await _refuse(error, scope, receive, send)
        else:
            await self.app(_of_origin(scope), _replay(bytes(body), receive), send)


async def _refuse(error: ExchangeError, scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever else comes on this connection is not looked at: nobody knows where the next request would begin."""
    answer = problem(Request(_of_origin(scope)), error)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def _check_head(scope: Scope) -> None:
    """Raises ExchangeError: E_REQUEST, E_REQUEST_TOO_LARGE."""
    headers = scope["headers"]
    if scope["http_version"] not in _VERSIONS:
        raise ExchangeError("E_REQUEST", "HTTP/1.1 is spoken here")
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > MOST_HEADERS or size > MOST_HEADER_BYTES:
        raise ExchangeError("E_REQUEST_TOO_LARGE", f"at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes")
    lengths = [value for name, value in headers if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if chunked and (lengths or scope["http_version"] == "1.0"):
        raise ExchangeError("E_REQUEST", "the length of the body is told in two ways")
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        raise ExchangeError("E_REQUEST", "a body is sent as it is, not compressed")
    announced = lengths[0] if lengths else b"0"
    if not announced.isdigit() or len(announced) > _MOST_LENGTH_DIGITS or int(announced) > MOST_BYTES:
        raise _too_large()


def _too_large() -> ExchangeError:
    return ExchangeError("E_REQUEST_TOO_LARGE", f"a body has at most {MOST_BYTES} bytes")


async def _body(receive: Receive) -> bytearray | None:
    """The body; None when the client went away. Raises ExchangeError(E_REQUEST_TOO_LARGE)."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BYTES:
            raise _too_large()
    return body


def _is_json(scope: Scope) -> bool:
    kinds = [value.lower() for name, value in scope["headers"] if name == b"content-type"]
    return any(b"json" in kind for kind in kinds)


def _check_json(body: bytes) -> None:
    """Raises ExchangeError(E_REQUEST) for what is no JSON in UTF-8, and for what JSON leaves open."""
    try:
        json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ExchangeError("E_REQUEST", "body: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ExchangeError("E_REQUEST", "body: it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise ExchangeError("E_REQUEST", f"body: it is no JSON from its character {error.pos} on") from None
    except ValueError:  # an integer of thousands of digits
        raise ExchangeError("E_REQUEST", "body: a number is too long") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ExchangeError("E_REQUEST", "body: a member stands twice in one object")
    return found


def _no_number(_text: str) -> NoReturn:
    raise ExchangeError("E_REQUEST", "body: NaN and Infinity are no numbers of JSON")


def _of_origin(scope: Scope) -> Scope:
    """A request for `http://host/path` asks for `/path` (RFC 9112 §3.2.2)."""
    absolute = _ABSOLUTE.match(scope["path"])
    if absolute is None:
        return scope
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw_authority = re.match(rb"https?://[^/?#]*", raw, re.IGNORECASE)
    rest = raw[raw_authority.end() :] if raw_authority else raw
    return {**scope, "path": scope["path"][absolute.end() :] or "/", "raw_path": rest or b"/"}


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body once, and then what the server says (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

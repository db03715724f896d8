"""Who is signed in: a cookie with the API token, kept for a few hours, and a proof that a form is one of ours.

The token stays the only credential: what it may do is asked again with every page, so a revoked token ends a session at
once, and every instance of the service knows every session.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from exchange.errors import ExchangeError

PATH: Final = "/console"
COOKIE: Final = "exchange_session"
LASTS: Final = timedelta(hours=8)
MOST_TOKEN_CHARACTERS: Final = 2800
"""Of an issuer's token, so that the cookie stays smaller than the 4096 bytes that browsers keep."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_FOREIGN_SITES: Final = ("cross-site", "same-site")
_NONCE_BYTES: Final = 16
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_OURS: Final = re.compile(r"/console/[\w\-./?=&%~:+]*", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A sign-in."""

    token: str
    nonce: str
    until: int
    """Seconds since 1970 at which it ends."""

    @property
    def form_proof(self) -> str:
        """What every form of this session carries; who does not hold the token cannot make it."""
        return hmac.new(self.token.encode(), f"form {self.nonce}".encode(), hashlib.sha256).hexdigest()

    def check(self, proof: str) -> None:
        """Raise ExchangeError(E_FORM) unless a form with this proof is of this session."""
        if not hmac.compare_digest(self.form_proof.encode(), proof.encode()):
            raise ExchangeError("E_FORM")


def begin(token: str, now: datetime) -> Session:
    """A new session. Raises ExchangeError(E_TOKEN) for what is no token."""
    if not 0 < len(token) <= MOST_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
        raise ExchangeError("E_TOKEN")
    return Session(token, secrets.token_hex(_NONCE_BYTES), int((now + LASTS).timestamp()))


def session_of(request: Request, now: datetime) -> Session | None:
    """The session of a request; None when it has none, or one that has ended."""
    parts = request.cookies.get(COOKIE, "").split(".")
    if len(parts) != 3 or not _SECONDS.fullmatch(parts[0]):
        return None
    try:
        token = base64.urlsafe_b64decode(parts[2].encode()).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    session = Session(token, parts[1], int(parts[0]))
    return session if token and session.until > now.timestamp() else None


def keep(response: Response, session: Session, request: Request) -> None:
    """Let the browser keep a session: out of reach of scripts and of other sites, encrypted but on this machine."""
    token = base64.urlsafe_b64encode(session.token.encode()).decode()
    response.set_cookie(
        COOKIE,
        f"{session.until}.{session.nonce}.{token}",
        max_age=int(LASTS.total_seconds()),
        path=PATH,
        secure=is_remote(request),
        httponly=True,
        samesite="strict",
    )


def forget(response: Response, request: Request) -> None:
    """Let the browser forget its session."""
    response.delete_cookie(COOKIE, path=PATH, secure=is_remote(request), httponly=True, samesite="strict")


def is_remote(request: Request) -> bool:
    """Whether the browser reached this service by a name of another machine than its own."""
    return request.url.hostname not in _LOOPBACK


def check_origin(request: Request) -> None:
    """Raise ExchangeError(E_FORM) when the browser says that another site sent a form."""
    if request.headers.get("sec-fetch-site", "") in _FOREIGN_SITES:
        raise ExchangeError("E_FORM")


def own_path(text: str, fallback: str = f"{PATH}/") -> str:
    """Where to go after a sign-in: an address of the console, whatever was asked for."""
    return text if _OURS.fullmatch(text) and "//" not in text else fallback


def first(values: Iterable[str]) -> str:
    """The first of some values; empty when there is none."""
    return next(iter(values), "")

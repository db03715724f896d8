"""Who is signed in: sessions that live in the service, of which a browser holds a random name and nothing else.

They live in the instance that leads; a follower sends everything of the console on to it. So a sign-out ends a session
for good, and so does the end of its token, which is asked for with every page. When another instance leads, its people
sign in once more. The name says nothing, and is kept by the browser for a few hours, out of reach of scripts and of
other sites.
"""

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from exchange.errors import ExchangeError

PATH: Final = "/console"
COOKIE: Final = "__Host-exchange_session"
"""The prefix: browsers take it from no other host than this one, and over TLS alone (RFC 6265bis, 4.1.3.2)."""
LOCAL_COOKIE: Final = "exchange_session"
"""On this machine, without TLS."""
LASTS: Final = timedelta(hours=8)
MOST_TOKEN_CHARACTERS: Final = 8192
"""Of an issuer's token; ours have 43."""
MOST_SESSIONS: Final = 2000
MOST_OF_ONE: Final = 20
"""Of one token: more browsers than that, and the first one is signed out."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_NAME_BYTES: Final = 32
_NAME: Final = re.compile(r"[\w-]{43}", re.ASCII)
_OURS: Final = re.compile(r"/console/[\w\-./?=&%~:+]*", re.ASCII)
_UPWARDS: Final = re.compile(r"//|\.\.|%2e|%2f|%5c", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A sign-in."""

    name: str
    """What the browser holds."""
    token: str
    holder: str
    """The token's id, or a person of an issuer."""
    form_proof: str
    """What every form of this session carries; no other page can know it."""
    until: datetime

    def check(self, proof: str) -> None:
        """Raise ExchangeError(E_FORM) unless a form with this proof is of this session."""
        if not hmac.compare_digest(self.form_proof.encode(), proof.encode()):
            raise ExchangeError("E_FORM")


class Sessions:
    """The sessions of this instance, the oldest first. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_digest: dict[bytes, Session] = {}
        """By the SHA-256 of the name: how long a look-up takes tells nothing of the names there are."""

    def begin(self, token: str, holder: str, now: datetime) -> Session:
        """A new session under a new name, whatever name the browser came with.

        The oldest ones make room when there are too many. Raises ExchangeError(E_TOKEN) for what is no token.
        """
        if not 0 < len(token) <= MOST_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
            raise ExchangeError("E_TOKEN")
        name = secrets.token_urlsafe(_NAME_BYTES)
        session = Session(name, token, holder, secrets.token_hex(_NAME_BYTES), now + LASTS)
        with self._lock:
            self._make_room(holder, now)
            self._by_digest[_digest(name)] = session
        return session

    def _make_room(self, holder: str, now: datetime) -> None:
        kept = list(self._by_digest.values())
        ended = [one for one in kept if one.until <= now]
        of_holder = [one for one in kept if one.holder == holder and one.until > now]
        ended += of_holder[: max(0, len(of_holder) - MOST_OF_ONE + 1)]
        if len(kept) - len(ended) >= MOST_SESSIONS:
            ended += kept[:1]
        for one in ended:
            self._by_digest.pop(_digest(one.name), None)

    def of(self, request: Request, now: datetime) -> Session | None:
        """The session of a request; None when it has none, or one that has ended."""
        name = request.cookies.get(_cookie(request), "")
        if not _NAME.fullmatch(name):
            return None
        with self._lock:
            found = self._by_digest.get(_digest(name))
        return found if found is not None and found.until > now else None

    def end(self, session: Session) -> None:
        """Forget a session; its name is worth nothing from now on."""
        with self._lock:
            self._by_digest.pop(_digest(session.name), None)


def keep(response: Response, session: Session, request: Request) -> None:
    """Let the browser keep a session's name: out of reach of scripts and of other sites, over TLS but on this machine.

    The whole site is its path because the prefix of its own name asks for that; the API takes no cookie.
    """
    response.set_cookie(
        _cookie(request),
        session.name,
        max_age=int(LASTS.total_seconds()),
        path="/",
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )


def forget(response: Response, request: Request) -> None:
    """Let the browser forget its session."""
    secure = is_encrypted(request)
    response.delete_cookie(_cookie(request), path="/", secure=secure, httponly=True, samesite="strict")


def has_cookie(request: Request) -> bool:
    """Whether the browser holds the name of a session, also of one that has ended."""
    return _cookie(request) in request.cookies


def is_encrypted(request: Request) -> bool:
    """Whether a session is for TLS alone: always, but for a browser on this machine."""
    return request.url.scheme == "https" or request.url.hostname not in _LOOPBACK


def own_path(text: str, fallback: str = f"{PATH}/") -> str:
    """Where to go after a sign-in: an address of the console, whatever was asked for."""
    path = text.partition("?")[0]
    return text if _OURS.fullmatch(text) and not _UPWARDS.search(path) and "//" not in text else fallback


def first(values: Iterable[str]) -> str:
    """The first of some values; empty when there is none."""
    return next(iter(values), "")


def _cookie(request: Request) -> str:
    return COOKIE if is_encrypted(request) else LOCAL_COOKIE


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()

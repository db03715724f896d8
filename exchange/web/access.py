"""Who calls. Denied by default: what a role may do stands in the table of rights, and every path asks it."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer
from pydantic import SecretStr

from exchange.broker.demands.state import acts_for
from exchange.broker.departments.succession import has_ended
from exchange.broker.departments.tokens import DEPARTMENT_ROLE, authenticate, has_expired
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Actor
from exchange.names import Department
from exchange.settings import HttpSettings, secret
from exchange.web.forwarding import at_leader
from exchange.web.guard.origin import check_origin
from exchange.web.guard.reads import note_read
from exchange.web.guard.rights import OPERATOR, right_of
from exchange.web.limits import RateLimit
from exchange.web.oidc.callers import Identity, Oidc, looks_signed
from exchange.web.oidc.keys import keys_of
from exchange.web.problems import REGISTRY_PATHS
from exchange.web.service import Service

_BEARER = HTTPBearer(auto_error=False, description="an API token; see `exchange token`")
"""For the documentation: `admitted` reads the header itself, because schema clients show Basic."""
_KEY_CHARACTERS = 128
_KeyHeader = Annotated[
    str | None, Header(description="makes a repetition harmless: a key is remembered for at least 30 days")
]
_TOKEN_CHARACTERS = 20
_ISSUER = "issuer:"
_FIRST_TOKEN = "first"  # noqa: S105 - its name, beside the ids of the ledger


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    role: str
    department: Department | None
    """Of the role `department` only."""
    token: str
    """Which token it showed: the ledger notes it, and its requests are counted under it."""

    @property
    def actor(self) -> Actor:
        """How the ledger names it."""
        return Actor(self.department or self.role, self.token)

    @property
    def sees_all(self) -> bool:
        """Whether it sees demands and grants of every department."""
        return self.role != DEPARTMENT_ROLE

    def concerned(self, state: LedgerState, *parties: Department | None) -> bool:
        """Whether it may see what concerns `parties`: its own department, or one it has succeeded."""
        if self.department is None:
            return self.sees_all
        return any(party is not None and acts_for(state, self.department, party) for party in parties)


class Gate:
    """Recognises callers by tokens: the ledger's, the operator's first one, an issuer's."""

    def __init__(self, service: Service, settings: HttpSettings) -> None:
        self._service = service
        self._rates = RateLimit(settings)
        self._first = _first_token(settings)
        self._oidc = Oidc(settings, keys_of(settings), service.clock) if settings.oidc_issuer else None

    @property
    def waits(self) -> bool:
        """Whether `admit` may have to ask an issuer for its keys."""
        return self._oidc is not None

    def admit(self, authorization: str | None, address: str, basic: bool = False) -> Caller:
        """The caller of a request with this Authorization header from this address.

        basic: whether it may be Basic. A browser that knows a Basic secret shows it for whatever site asks, so it is
        for the paths of the schema registry alone, whose clients know nothing else, and where nothing can be changed.

        Raises ExchangeError: E_TOKEN; E_RATE_LIMIT for too many requests of it, or too many bad tokens of the address.
        """
        try:
            caller = self._caller(authorization, basic)
        except ExchangeError as error:
            if authorization and error.code == "E_TOKEN":
                self._rates.bad_token(address)
            raise
        self._rates.request(caller.token)
        return caller

    def _caller(self, authorization: str | None, basic: bool) -> Caller:
        scheme, _, rest = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return self._of(rest.strip())
        if basic and scheme.lower() == "basic":
            name, token = _basic(rest.strip())
            caller = self._of(token)
            if caller.department is not None and caller.department != name:
                raise ExchangeError("E_TOKEN")
            return caller
        raise ExchangeError("E_TOKEN")

    def _of(self, token: str) -> Caller:
        if self._first is not None and hmac.compare_digest(self._first, token.encode()):
            return Caller(OPERATOR, None, _FIRST_TOKEN)
        now = self._service.clock.now()
        if self._oidc is not None and looks_signed(token):
            return self._vouched(self._oidc.identity(token), now)
        found = authenticate(self._service.ledger.state, token, now) if token else None
        if found is None:
            ended = has_expired(self._service.ledger.state, token, now)
            raise ExchangeError("E_TOKEN", "the token has reached its last day" if ended else "")
        return Caller(found.role, found.department, found.token)

    def _vouched(self, identity: Identity, now: datetime) -> Caller:
        """A caller that the issuer vouches for; its department has to exist here."""
        slug = None if identity.department is None else Department(identity.department)
        if slug is not None and not self._service.ledger.read(lambda state: _exists(state, slug, now)):
            raise ExchangeError("E_TOKEN", "the issuer's token names no department that exists")
        return Caller(identity.role, slug, f"{_ISSUER}{identity.subject}")


def _exists(state: LedgerState, department: Department, now: datetime) -> bool:
    return department in state.departments and not has_ended(state, department, now)


def _first_token(settings: HttpSettings) -> bytes | None:
    """The operator's first token, from its file. Raises ExchangeError(E_SETTINGS) when it is short."""
    if settings.operator_token_file is None:
        return None
    text = secret(SecretStr(""), settings.operator_token_file, "the operator's first token")
    if len(text) < _TOKEN_CHARACTERS:
        raise ExchangeError("E_SETTINGS", f"the operator's first token has fewer than {_TOKEN_CHARACTERS} characters")
    return text.encode()


async def admitted(
    request: Request,
    _documented: Annotated[object, Security(_BEARER)],
    _authorization: Annotated[str | None, Header(alias="authorization", include_in_schema=False)] = None,
) -> Caller:
    """The caller of a path, when the table of rights lets its role in. Raises ExchangeError: E_TOKEN, E_ROLE, E_FORM.

    A read of what is between departments by somebody who oversees them is logged.
    """
    check_origin(request, told=False)
    gate: Gate = request.app.state.gate
    path: str = request.scope["route"].path
    basic = path.startswith(REGISTRY_PATHS)
    shown, address = request.headers.getlist("authorization"), "" if request.client is None else request.client.host
    if len(shown) > 1:  # who passes a request on, and who answers it, could take another one each
        raise ExchangeError("E_TOKEN", "one Authorization header")
    authorization = shown[0] if shown else None
    # What needs no thread takes none: a command passes through as few of them as it can.
    if gate.waits:
        caller = await run_in_threadpool(gate.admit, authorization, address, basic)
    else:
        caller = gate.admit(authorization, address, basic)
    right = right_of(request.method, path)
    if right is None or not right.allows(caller.role):
        raise ExchangeError("E_ROLE")
    await request.app.state.turns.take(request.scope, caller.token)
    if right.of_others and caller.sees_all:
        note_read(caller.token, caller.role, path, request.path_params)
    return caller


async def command_key(_leading: Annotated[None, Depends(at_leader)], idempotency_key: _KeyHeader = None) -> str | None:
    """The Idempotency-Key of a command, at the leader.

    Raises ExchangeError(E_REQUEST) for one that is empty, long or not printable; ElsewhereError at a follower.
    """
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= _KEY_CHARACTERS or not idempotency_key.isprintable():
        raise ExchangeError("E_REQUEST", f"Idempotency-Key has 1 to {_KEY_CHARACTERS} printable characters")
    return idempotency_key


def _basic(text: str) -> tuple[str, str]:
    try:
        name, separator, token = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise ExchangeError("E_TOKEN") from None
    if not separator:
        raise ExchangeError("E_TOKEN")
    return name, token


Admitted = Annotated[Caller, Depends(admitted)]
"""Every path but those that need no token takes it."""
AtLeader = Annotated[None, Depends(at_leader)]
"""For what only the leader knows; a follower sends the request on."""
Key = Annotated[str | None, Depends(command_key)]
"""Every command takes it: it makes a repetition harmless, and sends the command on to the leader."""

"""API tokens: issuing, revoking, recognising. The ledger keeps only their SHA-256."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange.broker.departments.commands import department_entry
from exchange.broker.departments.succession import has_ended
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.state.token import TokenEntry
from exchange.ledger.store.command import Draft, said

DEPARTMENT_ROLE = "department"
ROLES = (DEPARTMENT_ROLE, "supervisor", "operator", "auditor")
"""The roles of API tokens."""
DEFAULT_TOKEN_DAYS = 90
MOST_TOKEN_DAYS = 1096
"""Three years: what is needed for longer is issued again."""
MOST_LABEL_CHARACTERS = 100
NOTICE = timedelta(days=14)
"""A token that ends within this time is a metric: its holder works with it until the last moment."""


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Issue an API token. Only its SHA-256 enters the ledger. Nothing when a token with this digest is in force.

    Entity of the result: the token's id. Raises ExchangeError: E_REQUEST, E_UNKNOWN_DEPARTMENT.
    """

    role: str
    department: str | None
    """Whose token it is, for the role `department`; None for the others."""
    digest: str = field(compare=False, repr=False)
    days: int = DEFAULT_TOKEN_DAYS
    """After how many days it is refused."""
    label: str = ""
    """What it is called in lists: whose it is, or which program's."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `token-issued`."""
        if self.role not in ROLES or (self.role == DEPARTMENT_ROLE) != (self.department is not None):
            raise ExchangeError(
                "E_REQUEST", f"a token has one of the roles {', '.join(ROLES)}; a department's names it"
            )
        if not 1 <= self.days <= MOST_TOKEN_DAYS:
            raise ExchangeError("E_REQUEST", f"a token is good for 1 to {MOST_TOKEN_DAYS} days")
        if len(self.label) > MOST_LABEL_CHARACTERS or not self.label.isprintable():
            raise ExchangeError("E_REQUEST", f"a label has at most {MOST_LABEL_CHARACTERS} printable characters")
        if self.department is not None:
            department_entry(state, self.department)
        if _in_force(state, self.digest, now) is not None:
            return ()
        draft = Draft(state)
        token = f"t-{draft.seq}"
        draft.say(
            "token-issued",
            token,
            token=token,
            digest=self.digest,
            role=self.role,
            department=self.department,
            label=self.label,
            expires_at=format_time(now + timedelta(days=self.days)),
        )
        return draft.events


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Revoke a token. Nothing when it is revoked. Raises ExchangeError(E_NOT_FOUND) for an unknown one."""

    token: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `token-revoked`."""
        found = state.tokens.get(self.token)
        if found is None:
            raise ExchangeError("E_NOT_FOUND", "there is no such token")
        if found.revoked:
            return ()
        return said("token-revoked", self.token, token=self.token)


def new_token() -> str:
    """A fresh token text. It is shown once and kept nowhere."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What the ledger keeps of a token: its SHA-256. A token is random, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def authenticate(state: LedgerState, token: str, now: datetime) -> TokenEntry | None:
    """The token in force with this text, or None. With a department that exists no more, its tokens end."""
    found = _in_force(state, digest(token), now)
    if found is None or (found.department is not None and has_ended(state, found.department, now)):
        return None
    return found


def has_expired(state: LedgerState, token: str, now: datetime) -> bool:
    """Whether a token with this text was good until its last day came."""
    found = state.tokens.get(state.token_of_digest.get(digest(token), ""))
    return found is not None and not found.revoked and found.expires is not None and found.expires <= now


def ending(state: LedgerState, now: datetime) -> Iterator[TokenEntry]:
    """The tokens in force that end soon: time to issue others and hand them out."""
    for token in state.tokens.values():
        if not token.revoked and token.expires is not None and now < token.expires <= now + NOTICE:
            yield token


def _in_force(state: LedgerState, wanted: str, now: datetime) -> TokenEntry | None:
    """The token with this digest that is neither revoked nor expired. Of all tokens with it only the last can be."""
    found = state.tokens.get(state.token_of_digest.get(wanted, ""))
    if found is None or found.revoked or (found.expires is not None and found.expires <= now):
        return None
    return found

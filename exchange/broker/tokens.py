"""API tokens: issuing, revoking, recognising. The ledger keeps only their SHA-256."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.broker.departments import department_entry
from exchange.broker.succession import has_ended
from exchange.errors import ExchangeError
from exchange.ledger.command import Draft, said
from exchange.ledger.events import NewEvent
from exchange.ledger.state import LedgerState, TokenEntry

DEPARTMENT_ROLE = "department"
ROLES = (DEPARTMENT_ROLE, "supervisor", "operator", "auditor")
"""The roles of API tokens."""


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Issue an API token. Only its SHA-256 enters the ledger. Nothing when a token with this digest is in force.

    Entity of the result: the token's id. Raises ExchangeError: E_REQUEST, E_UNKNOWN_DEPARTMENT.
    """

    role: str
    department: str | None
    """Whose token it is, for the role `department`; None for the others."""
    digest: str = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `token-issued`."""
        if self.role not in ROLES or (self.role == DEPARTMENT_ROLE) != (self.department is not None):
            raise ExchangeError(
                "E_REQUEST", f"a token has one of the roles {', '.join(ROLES)}; a department's names it"
            )
        if self.department is not None:
            department_entry(state, self.department)
        if any(token.digest == self.digest and not token.revoked for token in state.tokens.values()):
            return ()
        draft = Draft(state)
        token = f"t-{draft.seq}"
        draft.say("token-issued", token, token=token, digest=self.digest, role=self.role, department=self.department)
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
    wanted = digest(token)
    found = next((one for one in state.tokens.values() if one.digest == wanted and not one.revoked), None)
    if found is None or (found.department is not None and has_ended(state, found.department, now)):
        return None
    return found

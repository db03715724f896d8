"""An API token as the ledger knows it."""

from dataclasses import dataclass
from datetime import datetime

from exchange.names import Department


@dataclass(slots=True)
class TokenEntry:
    """An API token: only its SHA-256 is known."""

    token: str
    """Its id."""
    digest: str
    role: str
    department: Department | None
    revoked: bool = False
    expires: datetime | None = None
    """From then on it is refused; None in ledgers of before tokens expired."""
    label: str = ""
    """What its issuer called it: whose it is, or which program's."""
    issued: datetime | None = None
    issuer: str = ""
    """The token or person that issued it; empty in ledgers of before events named who gave a command."""

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

"""What the API needs of the broker service. The service fulfils it; so does a double over a ledger in memory."""

from collections.abc import Iterable
from typing import Any, Protocol

from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.desk import Corrections
from exchange.broker.evidence.books import Account
from exchange.broker.evidence.said import Said
from exchange.broker.quarantine.desk import Quarantine
from exchange.broker.seams import ClientAccess, Ledger
from exchange.clock import Clock
from exchange.ledger.events.event import LedgerEvent
from exchange.names import GrantId, ShareName


class Service(Protocol):
    """The broker service, as the API uses it."""

    @property
    def ledger(self) -> Ledger:
        """The ledger's store."""
        ...

    @property
    def schemas(self) -> SchemaRepository:
        """The locked schemas."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...

    @property
    def access(self) -> ClientAccess:
        """How clients reach Kafka."""
        ...

    @property
    def ready(self) -> bool:
        """Whether reads answer from a ledger that was read to its end."""
        ...

    @property
    def supplement_pauses(self) -> bool:
        """Whether the reply's clock stands still while a demander adds what was asked for."""
        ...

    @property
    def quarantine(self) -> Quarantine:
        """The quarantine of all departments."""
        ...

    @property
    def corrections(self) -> Corrections:
        """The corrections of all departments."""
        ...

    def events(self) -> Iterable[LedgerEvent]:
        """Every event from the first one on, from the ledger read again."""
        ...

    def books(self) -> list[Account]:
        """The books of both lines. Raises ExchangeError(E_NOT_LEADER) where they are not kept."""
        ...

    def resync_needed(self, grant: GrantId) -> bool | None:
        """Whether its grantee was away for longer than tombstones are kept; None where that is not looked at."""
        ...

    def said(self) -> Said | None:
        """What connectors say of themselves; None where that is not looked at."""
        ...

    def reconciled(self, grant: GrantId) -> dict[str, Any] | None:
        """What both halves of a reconciliation said last; None where that is not looked at."""
        ...

    def digests(self, share: ShareName, prefix: bytes, version: int | None) -> dict[str, Any] | None:
        """The digests of a share under a prefix of key hashes; None while the share is being read.

        Raises ExchangeError: E_UNKNOWN_SHARE, E_DIGESTS, E_KAFKA_*.
        """
        ...

    def add_department(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Make a department a Kafka principal. Its secret, or None when it was one already."""
        ...

    def rotate_secret(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Give a department a new secret. None when the command was a repetition."""
        ...

    def apply_catalogue(self, actor: str, command_id: str | None) -> int:
        """Bring the catalogue's files into the ledger; the number of events."""
        ...

"""The broker service over a ledger in memory: what the API and the commands are tested against, without Kafka."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import uvicorn

from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.desk import Corrections
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue, RotateSecret
from exchange.broker.evidence.books import Account
from exchange.broker.evidence.said import Said
from exchange.broker.quarantine.desk import Quarantine
from exchange.broker.seams import ClientAccess
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.clock import Clock, Deadline
from exchange.ledger.events.event import LedgerEvent
from exchange.names import GrantId, ShareName
from exchange.reconcile.desk import answer
from exchange.reconcile.fold import Fold
from exchange.settings import Settings
from exchange.web.server.config import config_of
from exchange.web.server.connections import Bounds
from tests.harness.memory.corrections import MemoryCorrections
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.quarantine import MemoryQuarantineStore

_COMMAND_SECONDS = 20.0
"""For a ledger that is no memory: a busy machine may need longer than a moment."""


@cache
def _schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@cache
def _catalogue() -> Catalogue:
    return load(Settings().catalogue)


@contextmanager
def serving(app: Any, bounds: Bounds | None = None) -> Iterator[str]:
    """Serve an ASGI application on a free port of this machine while the block runs; gives its address."""
    server = uvicorn.Server(config_of(app, 1, bounds))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


class MemoryService:
    """Does what `exchange.broker.service.BrokerService` does, without Kafka. Its catalogue is the shipped one."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.clock: Clock = self.ledger.clock
        self.schemas = _schemas()
        self.access = ClientAccess("kafka.example:9093", "SASL_SSL", "SCRAM-SHA-512")
        self.ready = True
        self.supplement_pauses = False
        self.secrets: dict[str, str] = {}
        """Secret of every principal."""
        self.accounts: list[Account] = []
        self.absent: set[GrantId] = set()
        """Grants whose grantees were away for too long."""
        self.words: Said | None = Said()
        """What connectors say of themselves."""
        self.results: dict[GrantId, dict[str, Any]] = {}
        """What reconciliations have found."""
        self.folds: dict[ShareName, Fold] = {}
        """Shares that have digests; others are being read."""
        self.store = MemoryQuarantineStore()
        """What stands in quarantine."""
        self.quarantine = Quarantine(self.ledger, self.store, self.schemas, self.store.put_aside)
        self.written = MemoryCorrections(self.ledger)
        """What corrections say, and the registries of their records."""
        self.corrections = Corrections(self.ledger, self.written, self.clock)
        self._catalogue = _catalogue()

    def events(self) -> list[LedgerEvent]:
        """Every event."""
        return self.ledger.events

    def books(self) -> list[Account]:
        """The books that the test set."""
        return self.accounts

    def resync_needed(self, grant: GrantId) -> bool | None:
        """What the test says."""
        return grant in self.absent

    def said(self) -> Said | None:
        """What the test says."""
        return self.words

    def reconciled(self, grant: GrantId) -> dict[str, Any] | None:
        """What the test says."""
        return self.results.get(grant, {"grantee": None, "provider": None})

    def digests(self, share: ShareName, prefix: bytes, version: int | None) -> dict[str, Any] | None:
        """Of the folds that the test made."""
        fold = self.folds.get(share)
        pseudonymous = self.ledger.state.shares[share].terms.pseudonymous
        return None if fold is None else {"version": version or 1, **answer(fold, prefix, pseudonymous)}

    def add_department(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Note a principal and its secret."""
        done = self.ledger.execute(AddDepartment(department), actor, command_id, Deadline.after(_COMMAND_SECONDS))
        return self._new_secret(department) if done.entities and not done.repeated else None

    def rotate_secret(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Note a new secret."""
        done = self.ledger.execute(RotateSecret(department), actor, command_id, Deadline.after(_COMMAND_SECONDS))
        return None if done.repeated else self._new_secret(department)

    def apply_catalogue(self, actor: str, command_id: str | None) -> int:
        """Bring the shipped catalogue into the ledger."""
        command = ApplyCatalogue.of(self._catalogue)
        return len(self.ledger.execute(command, actor, command_id, Deadline.after(_COMMAND_SECONDS)).entities)

    def _new_secret(self, department: str) -> str:
        self.secrets[department] = secrets.token_urlsafe(16)
        return self.secrets[department]

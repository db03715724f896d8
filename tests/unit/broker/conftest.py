"""What tests of commands begin with: the locked schemas, and a ledger in memory that holds the shipped catalogue."""

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.load import load
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger


@pytest.fixture(scope="session")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    return ledger

"""A provider that is merged into another: the heir submits its keys, its running grants go on, its inbox is closed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exchange.admission.inboxes import inbox, inbox_topics
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.departments.succession import SettleSuccession
from exchange.broker.departments.tokens import IssueToken, authenticate, digest, new_token
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.evidence.look import _watched
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import SuspendGrant
from exchange.catalogue.load import load
from exchange.delivery.ledger_shares import LedgerShares
from exchange.delivery.state import Counts
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.state.ledger_state import Condition, GrantEntry, Heritage, LedgerState, ShareEntry
from exchange.ledger.state.ownership import heirs
from exchange.names import DemandId, Department, RecordType, ShareName, grant_group, inbox_topic, share_topic
from exchange.record import source_of
from exchange.settings import Settings
from tests.harness.memory.delivery import DeliveryMemory, company, share_entry
from tests.harness.memory.ledger import MemoryLedger

TYPE = RecordType("legal-entity.registration")
TAX, OLD, HEIR = Department("taxation"), Department("market-regulation"), Department("civil-affairs")
OLD_CODE, NEW_CODE = "102001/0001", "102001/0002"
INHERITED, ITS_OWN = "91340100MA2N00001X", "52340100MJA000001K"
FROM_HEIR = source_of(HEIR)


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    for department in (TAX, OLD, HEIR):
        ledger.execute(AddDepartment(department))
    return ledger


@pytest.fixture
def grant(ledger: MemoryLedger, schemas: SchemaRepository) -> GrantEntry:
    """A running grant of the old provider."""
    stated: dict[str, Any] = {
        "legal_basis": "a law",
        "scenario": "a duty",
        "use_scope": "all",
        "mode": "batch-exchange",
    }
    asked = SubmitDemand(demander=TAX, resource=OLD_CODE, fields=("credit_code", "name"), **stated, schemas=schemas)
    demand = ledger.state.demands[DemandId(ledger.execute(asked).entities[0])]
    ledger.execute(ConsentDemand(demand=demand.demand, by=OLD, schemas=schemas))
    ledger.execute(PlaceGrant(demand.grants[0], schemas))
    ledger.execute(ActivateGrant(demand.grants[0]))
    return ledger.state.grants[demand.grants[0]]


def merge(ledger: MemoryLedger) -> None:
    """The catalogue of the day on which civil affairs takes over market regulation."""
    command = ApplyCatalogue.of(load(Settings().catalogue))
    changed: dict[str, dict[str, Any]] = {
        OLD: {"valid_until": "2026-11-24", "successors": [HEIR]},
        HEIR: {"owns": ["5", "9"]},
    }
    departments = tuple(data | changed.get(data["department"], {}) for data in command.departments)
    taken = {"resource": NEW_CODE, "provider": HEIR}
    resources = tuple(data | taken if data["resource"] == OLD_CODE else data for data in command.resources)
    ledger.execute(replace(command, departments=departments, resources=resources))
    ledger.execute(SettleSuccession())


def rights(ledger: MemoryLedger) -> set[tuple[str, str, str]]:
    return {(acl.principal, acl.name, acl.operation) for acl in wanted(ledger.state, ledger.clock.now(), None).acls}


def owns(schemas: SchemaRepository, state: LedgerState, department: Department) -> Callable[[bytes], bool]:
    record = schemas.latest(TYPE).record
    assert record is not None
    return inbox(inbox_topic(TYPE, department), record, state).owns


def test_the_heir_submits_the_keys_of_the_old_provider_whose_inbox_is_closed_and_read_to_its_end(
    ledger: MemoryLedger, schemas: SchemaRepository
) -> None:
    old, new = inbox_topic(TYPE, OLD), inbox_topic(TYPE, HEIR)
    assert (OLD, old, "write") in rights(ledger)
    assert not owns(schemas, ledger.state, HEIR)(INHERITED.encode())
    merge(ledger)
    assert not {right for right in rights(ledger) if right[0] == OLD}
    assert (HEIR, new, "write") in rights(ledger)
    assert owns(schemas, ledger.state, HEIR)(INHERITED.encode())
    assert {old, new} <= set(inbox_topics(ledger.state))
    assert fold(ledger.events) == ledger.state


def test_running_grants_of_the_old_provider_go_on_and_answer_to_the_heir(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: GrantEntry
) -> None:
    merge(ledger)
    topic = share_topic(grant.share or ShareName(""))
    assert grant.active
    assert {(TAX, topic, "read"), (TAX, grant_group(grant.grant), "read")} <= rights(ledger)
    ledger.execute(SuspendGrant(grant.grant, HEIR, "misuse is being looked into"))
    assert grant.suspended


def test_the_tokens_of_a_department_end_with_it(ledger: MemoryLedger) -> None:
    text = new_token()
    ledger.execute(IssueToken("department", OLD, digest(text)))
    assert authenticate(ledger.state, text, ledger.clock.now()) is not None
    merge(ledger)
    assert authenticate(ledger.state, text, ledger.clock.now()) is None


def test_the_heirs_source_is_the_sign_of_life_of_a_grant_that_the_old_provider_gave(
    ledger: MemoryLedger, grant: GrantEntry
) -> None:
    (before,) = _watched(ledger.state)
    assert before.lines == [(TYPE, OLD)]
    merge(ledger)
    (after,) = _watched(ledger.state)
    assert after.lines == [(TYPE, OLD), (TYPE, HEIR)]


class Follower:
    """Follows a ledger in memory."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    @property
    def state(self) -> LedgerState:
        return self._ledger.state

    def poll(self) -> bool:
        return True


def test_delivery_learns_of_the_heir_and_takes_the_shares_up_again(ledger: MemoryLedger, grant: GrantEntry) -> None:
    shares = LedgerShares(Follower(ledger))  # type: ignore[arg-type]
    before = shares.shares(TYPE)
    shares.poll()
    assert shares.shares(TYPE) is before
    merge(ledger)
    shares.poll()
    after = shares.shares(TYPE)
    assert after is not before
    entry = after[grant.share or ShareName("")]
    assert entry is not None
    assert entry.heritage == Heritage((HEIR,), "11340000EXCH00018B", ("9",))
    shares.poll()
    assert shares.shares(TYPE) is after


@pytest.fixture
def bus(schemas: SchemaRepository) -> DeliveryMemory:
    return DeliveryMemory(rules=schemas.latest(TYPE).record)


def inherited(**terms: Any) -> ShareEntry:
    return replace(share_entry(**terms), heritage=Heritage((HEIR,), "11340000EXCH00018B", ("9",)))


@pytest.mark.parametrize("scope", [(), (Condition("region", "equals", ("340100",)),)])
def test_what_the_heir_says_of_the_old_providers_records_goes_on_and_nothing_of_its_own(
    bus: DeliveryMemory, scope: tuple[Condition, ...]
) -> None:
    bus.want(share_entry(scope=scope))
    bus.take((INHERITED, company(INHERITED, "before")), (ITS_OWN, company(ITS_OWN), FROM_HEIR))
    bus.want(inherited(scope=scope))
    bus.take(
        (INHERITED, company(INHERITED, "after"), FROM_HEIR),
        (ITS_OWN, company(ITS_OWN), FROM_HEIR),
        (ITS_OWN, None, FROM_HEIR),
        (INHERITED, None, FROM_HEIR),
    )
    assert [(key, record and record["name"]) for key, record in bus.delivered()] == [
        (INHERITED, "before"),
        (INHERITED, "after"),
        (INHERITED, None),
    ]
    assert bus.counts() == Counts(taken=6, forwarded=2, retracted=1, out_of_scope=3)


def test_a_share_that_is_being_filled_at_the_merger_gets_the_heirs_versions_too(bus: DeliveryMemory) -> None:
    bus.write((INHERITED, company(INHERITED, "after"), FROM_HEIR))
    bus.want(inherited())
    bus.settle()
    assert [record and record["name"] for _, record in bus.delivered()] == ["after"]


def test_heirs_are_found_over_any_number_of_reforms(ledger: MemoryLedger) -> None:
    merge(ledger)
    assert heirs(OLD, ledger.state) == (HEIR,)
    assert set(heirs(Department("industry-and-commerce"), ledger.state)) == {OLD, HEIR}
    assert heirs(HEIR, ledger.state) == ()


def test_a_resource_code_never_comes_to_mean_the_records_of_another_provider(ledger: MemoryLedger) -> None:
    command = ApplyCatalogue.of(load(Settings().catalogue))
    resources = tuple(data | {"provider": HEIR} if data["resource"] == OLD_CODE else data for data in command.resources)
    with pytest.raises(ExchangeError, match=f"E_CATALOGUE.*{OLD_CODE}"):
        ledger.execute(replace(command, resources=resources))

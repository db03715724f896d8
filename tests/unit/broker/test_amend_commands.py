from collections.abc import Callable
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.enforcement.wanted import unused, wanted
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant, EndOverlaps, SwitchShare
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.shares import LOST, DeleteShare, OrderRecovery, RecoverShare, ReplaceShare, SuspendShare
from exchange.broker.grants.suspend import RevokeGrant
from exchange.broker.rate.satisfaction import rate
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.state.ledger_state import Condition, GrantEntry
from exchange.names import DemandId, Department, ShareName, grant_group, share_topic
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger

TAX, MARKET, HR = Department("taxation"), Department("market-regulation"), Department("human-resources")
HEALTH = Department("health")
ENTERPRISES, DEATHS = "102001/0001", "101002/0001"
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "批量交换"}
ASKED = ("credit_code", "name", "status", "region")
Grant = Callable[..., GrantEntry]
Amend = Callable[..., AmendGrant]


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    for department in (TAX, HR, HEALTH):
        ledger.execute(AddDepartment(department))
    return ledger


@pytest.fixture
def grant(ledger: MemoryLedger, schemas: SchemaRepository) -> Grant:
    """A grant that serves, of some of the asked fields."""

    def grant(fields: tuple[str, ...] | None = ("credit_code", "name"), **asked: Any) -> GrantEntry:
        defaults: dict[str, Any] = {"demander": TAX, "resource": ENTERPRISES, "fields": ASKED}
        made = ledger.execute(SubmitDemand(**(defaults | STATED | asked), schemas=schemas))
        demand = ledger.state.demands[DemandId(made.entities[0])]
        assert demand.provider is not None
        ledger.execute(ConsentDemand(demand=demand.demand, by=demand.provider, fields=fields, schemas=schemas))
        entry = ledger.state.grants[demand.grants[-1]]
        ledger.execute(PlaceGrant(entry.grant, schemas))
        ledger.execute(ActivateGrant(entry.grant))
        ledger.execute(MarkFirstDelivered(entry.grant, empty=False))
        return entry

    return grant


@pytest.fixture
def amend(schemas: SchemaRepository) -> Amend:
    def amend(grant: GrantEntry, **changed: Any) -> AmendGrant:
        return AmendGrant(
            grant=grant.grant, **({"by": MARKET, "reason": "the duty changed"} | changed), schemas=schemas
        )

    return amend


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


def readable(ledger: MemoryLedger) -> set[str]:
    """The share topics that departments have the right to read."""
    rights = wanted(ledger.state, ledger.clock.now(), None).acls
    return {acl.name for acl in rights if acl.name.startswith("share.") and not acl.prefixed}


def test_an_amended_grant_goes_over_to_its_next_share_and_keeps_both_for_the_overlap(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    old = one.share or ShareName("")
    ledger.execute(amend(one, fields=ASKED, overlap_seconds=3600), MARKET)
    assert (one.share, one.terms.fields) == (old, ("credit_code", "name"))
    ledger.execute(PlaceGrant(one.grant, schemas))
    new = one.next.share if one.next is not None else None
    assert new not in (None, old)
    assert readable(ledger) == {share_topic(old), share_topic(new or old)}

    ledger.execute(SwitchShare(one.grant))

    assert (one.share, set(one.terms.fields)) == (new, set(ASKED))
    assert readable(ledger) == {share_topic(old), share_topic(new or old)}
    assert unused(ledger.state) == []
    ledger.clock.forward(seconds=3599)
    assert ledger.execute(EndOverlaps()).entities == ()
    ledger.clock.forward(seconds=1)
    ledger.execute(EndOverlaps())
    assert readable(ledger) == {share_topic(new or old)}
    assert [share.share for share in unused(ledger.state)] == [old]
    ledger.execute(DeleteShare(old))
    assert grant_group(one.grant) in {acl.name for acl in wanted(ledger.state, ledger.clock.now(), None).acls}
    assert fold(ledger.events) == ledger.state


def test_a_share_in_its_overlap_is_not_deleted(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    old = one.share or ShareName("")
    ledger.execute(amend(one, fields=("name", "credit_code", "status")))
    ledger.execute(PlaceGrant(one.grant, schemas))
    ledger.execute(SwitchShare(one.grant))
    with refused("E_GRANT_STATE"):
        ledger.execute(DeleteShare(old))


def test_without_overlap_the_share_before_ends_with_the_switch(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    old = one.share
    ledger.execute(amend(one, fields=("credit_code",), overlap_seconds=0))
    ledger.execute(PlaceGrant(one.grant, schemas))
    ledger.execute(SwitchShare(one.grant))
    assert one.former == ()
    assert [share.share for share in unused(ledger.state)] == [old]


def test_an_equal_share_of_a_type_that_is_not_personal_is_read_by_an_amended_grant_too(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    other = grant(fields=("credit_code", "status"), demander=HR)
    one = grant()
    ledger.execute(amend(one, fields=("status", "credit_code")))
    ledger.execute(PlaceGrant(one.grant, schemas))
    ledger.execute(SwitchShare(one.grant))
    assert one.share == other.share


def test_a_personal_grant_gets_a_share_of_its_own_by_an_amendment(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    asked = ("provider_code", "resident_id", "death_date")
    made = ledger.execute(SubmitDemand(demander=TAX, resource=DEATHS, fields=asked, **STATED, schemas=schemas))
    demand = ledger.state.demands[DemandId(made.entities[0])]
    ledger.execute(ConsentDemand(demand=demand.demand, by=HEALTH, fields=asked[:2], schemas=schemas))
    one = ledger.state.grants[demand.grants[0]]
    ledger.execute(PlaceGrant(one.grant, schemas))
    old = one.share
    ledger.execute(amend(one, by=HEALTH, fields=asked))
    ledger.execute(PlaceGrant(one.grant, schemas))
    assert one.next is not None
    assert one.next.share not in (None, old)


def test_the_newest_amendment_holds_and_the_present_terms_take_it_back(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    ledger.execute(amend(one, fields=("credit_code", "status")))
    ledger.execute(PlaceGrant(one.grant, schemas))
    first = one.next.share if one.next is not None else None
    ledger.execute(amend(one, fields=("credit_code", "region")))
    assert [share.share for share in unused(ledger.state)] == [first]
    assert ledger.execute(amend(one, fields=("credit_code", "region"))).entities == ()
    ledger.execute(amend(one, fields=("credit_code", "name")))
    assert one.next is None
    assert ledger.execute(SwitchShare(one.grant)).entities == ()


def test_another_freshness_alone_needs_no_other_share(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    before = one.share
    ledger.execute(amend(one, fields=("credit_code", "name"), freshness_seconds=77))
    assert (one.freshness_seconds, one.next, one.share) == (77, None, before)
    assert one.first_delivered is not None
    assert ledger.execute(PlaceGrant(one.grant, schemas)).entities == ()


def test_the_rate_counts_what_the_present_share_gives_once_it_is_delivered(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()

    def now() -> tuple[float | None, float | None]:
        total = rate(ledger.state, ledger.clock.now())
        return total.strict, total.weighted

    assert now() == (0.0, 0.5)
    ledger.execute(amend(one, fields=ASKED))
    ledger.execute(PlaceGrant(one.grant, schemas))
    assert now() == (0.0, 0.5)
    ledger.execute(SwitchShare(one.grant))
    assert now() == (0.0, 0.0)
    ledger.execute(MarkFirstDelivered(one.grant, empty=False))
    assert now() == (1.0, 1.0)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"fields": ("credit_code", "established")}, "E_CONSENT"),
        ({"fields": ()}, "E_CONSENT"),
        ({"masks": {"name": "year"}}, "E_MASK"),
        ({"scope": (Condition("name", "contains", ("x",)),)}, "E_SCOPE"),
        ({"fields": ("name", "status")}, "E_PSEUDONYM_BESIDE_CLEAR"),
        ({"by": TAX}, "E_ROLE"),
        ({"overlap_seconds": -1}, "E_REQUEST"),
        ({"freshness_seconds": -5}, "E_REQUEST"),
    ],
)
def test_an_amendment_outside_of_what_was_asked_is_refused(
    ledger: MemoryLedger, grant: Grant, amend: Amend, changed: dict[str, Any], code: str
) -> None:
    one = grant()
    before = ledger.state.seq
    with refused(code):
        ledger.execute(amend(one, **changed))
    assert ledger.state.seq == before


def test_an_ended_grant_is_neither_amended_nor_switched(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant, amend: Amend
) -> None:
    one = grant()
    ledger.execute(amend(one, fields=ASKED))
    ledger.execute(PlaceGrant(one.grant, schemas))
    ledger.execute(RevokeGrant(one.grant, MARKET, "a reason"))
    for command in (amend(one), SwitchShare(one.grant)):
        with refused("E_GRANT_STATE"):
            ledger.execute(command)
    assert len(unused(ledger.state)) == 2
    assert readable(ledger) == set()


# shares that the line leaves out


def test_a_suspended_share_is_mended_in_place_and_counts_its_recoveries(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    share = one.share or ShareName("")
    with refused("E_GRANT_STATE"):
        ledger.execute(OrderRecovery(one.grant))
    before = ledger.state.shares[share]
    for number in (1, 2):
        ledger.execute(SuspendShare(share, "E_SHARE_UNWRITABLE", START))
        assert ledger.execute(SuspendShare(share, "E_SHARE_UNWRITABLE", START)).entities == ()
        assert ledger.execute(RecoverShare(share)).entities == ()
        ledger.execute(OrderRecovery(one.grant))
        assert ledger.execute(OrderRecovery(one.grant)).entities == ()
        ledger.execute(RecoverShare(share))
        entry = ledger.state.shares[share]
        assert (entry.suspended, entry.recoveries) == (None, number)
    assert before.recoveries == 0
    assert fold(ledger.events) == ledger.state


def test_grants_of_a_lost_share_get_another_one_with_equal_terms(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    one, two = grant(), grant(demander=HR)
    lost = one.share or ShareName("")
    assert two.share == lost
    ledger.execute(SuspendShare(lost, "E_SHARE_UNWRITABLE", START))
    ledger.execute(SuspendShare(lost, LOST, START))
    ledger.execute(OrderRecovery(one.grant))
    ledger.execute(ReplaceShare(lost))
    for entry in (one, two):
        ledger.execute(PlaceGrant(entry.grant, schemas))
        ledger.execute(SwitchShare(entry.grant))
    assert one.share == two.share
    assert one.share != lost
    assert ledger.state.shares[one.share or lost].terms == ledger.state.shares[lost].terms
    assert one.former == ()
    assert [share.share for share in unused(ledger.state)] == [lost]
    assert fold(ledger.events) == ledger.state


def test_a_lost_share_stays_lost_until_it_is_replaced(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    share = one.share or ShareName("")
    ledger.execute(SuspendShare(share, LOST, START))
    assert ledger.execute(SuspendShare(share, "E_SHARE_UNWRITABLE", START)).entities == ()


def test_a_new_grant_is_not_given_a_suspended_share(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    ledger.execute(SuspendShare(one.share or "", "E_SHARE_UNWRITABLE", START))
    assert grant(demander=HR).share != one.share


@pytest.mark.parametrize("command", [DeleteShare, RecoverShare, ReplaceShare])
def test_an_unknown_share_is_refused(ledger: MemoryLedger, command: Callable[[str], Any]) -> None:
    with refused("E_UNKNOWN_SHARE"):
        ledger.execute(command("nothing"))

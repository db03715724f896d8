"""Nobody gives more than the owner of the records has agreed to: overseers narrow, and end their own suspensions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.departments.succession import SettleSuccession
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant, SwitchShare
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import ResumeGrant, SuspendGrant
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.fold.grants import AWAITED, EXCHANGE, GRANT_HANDLERS, OVERSEER, PROVIDER
from exchange.ledger.state.ledger_state import Condition, GrantEntry
from exchange.names import DemandId, Department
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

TAX, MARKET = Department("taxation"), Department("market-regulation")
ASKED = ("credit_code", "name", "status", "region", "industry")
GIVEN = ("credit_code", "name", "status")
HEFEI, SHUSHAN = Condition("region", "prefix", ("3401",)), Condition("region", "equals", ("340104",))
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch-exchange"}
Amend = Callable[..., GrantEntry]


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


@pytest.fixture
def grant(ledger: MemoryLedger, schemas: SchemaRepository) -> GrantEntry:
    """Three of the asked fields, one of them masked, of one city."""
    asked = SubmitDemand(demander=TAX, resource="102001/0001", fields=ASKED, **STATED, schemas=schemas)
    demand = ledger.state.demands[DemandId(ledger.execute(asked, TAX).entities[0])]
    said: dict[str, Any] = {"fields": GIVEN, "masks": {"name": "first"}, "scope": (HEFEI,), "freshness_seconds": 600}
    ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, **said, schemas=schemas), MARKET)
    entry = ledger.state.grants[demand.grants[0]]
    ledger.execute(PlaceGrant(entry.grant, schemas))
    ledger.execute(ActivateGrant(entry.grant))
    return entry


@pytest.fixture
def amend(ledger: MemoryLedger, schemas: SchemaRepository, grant: GrantEntry) -> Amend:
    def amend(by: Department | None = None, **changed: Any) -> GrantEntry:
        command = AmendGrant(grant=grant.grant, by=by, reason="a reason", **changed, schemas=schemas)
        ledger.execute(command, by or "operator")
        return grant

    return amend


def coming(grant: GrantEntry) -> tuple[Any, ...]:
    assert grant.next is not None
    agreed = grant.next.agreement
    return (*agreed.terms.fields,), dict(agreed.terms.masks), agreed.terms.scope, agreed.freshness_seconds


@pytest.mark.parametrize(
    "more",
    [
        {"fields": ASKED},
        {"fields": (*GIVEN, "region")},
        {"masks": {"name": None}},
        {"masks": {"name": "ends"}},
        {"scope": ()},
        {"scope": (Condition("region", "prefix", ("34",)),)},
        {"scope": (Condition("region", "in", ("340100", "340200")),)},
        {"freshness_seconds": 60},
        {"freshness_seconds": 6_000},
        {"fields": ("credit_code", "region"), "masks": {"region": "first"}, "scope": ()},
    ],
)
def test_an_overseer_gives_nothing_that_the_owner_has_not_given(
    ledger: MemoryLedger, amend: Amend, more: dict[str, Any]
) -> None:
    before = ledger.state.seq
    with refused("E_ROLE"):
        amend(None, **more)
    assert ledger.state.seq == before


def test_an_overseer_takes_away_fields_and_rows_and_hides_more(amend: Amend) -> None:
    grant = amend(None, fields=("credit_code", "name"), masks={"name": "pseudonym"}, scope=(SHUSHAN,))
    assert coming(grant) == (("credit_code", "name"), {"name": "pseudonym"}, (SHUSHAN,), 600)


def test_an_overseer_lets_nobody_read_a_share_for_longer_than_the_owner_agreed_to(amend: Amend) -> None:
    with refused("E_ROLE"):
        amend(None, fields=("credit_code",), overlap_seconds=366 * 86_400)
    amend(MARKET, fields=("credit_code", "name"), overlap_seconds=0)
    for seconds in (1, 7 * 86_400):
        with refused("E_ROLE"):
            amend(None, fields=("credit_code",), overlap_seconds=seconds)
    grant = amend(None, fields=("credit_code",))
    assert grant.next is not None and grant.next.overlap_seconds == 0


def test_an_amendment_that_names_nothing_changes_nothing(ledger: MemoryLedger, amend: Amend) -> None:
    before = ledger.state.seq
    for by in (None, MARKET):
        assert amend(by).next is None
    assert ledger.state.seq == before


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"fields": (*GIVEN, "region")}, ((*GIVEN[:2], "region", "status"), {"name": "first"}, (HEFEI,), 600)),
        ({"fields": ("credit_code", "status")}, (("credit_code", "status"), {}, (HEFEI,), 600)),
        ({"masks": {"name": None}}, (GIVEN, {}, (HEFEI,), 600)),
        ({"masks": {"status": "first"}}, (GIVEN, {"name": "first", "status": "first"}, (HEFEI,), 600)),
        ({"scope": ()}, (GIVEN, {"name": "first"}, (), 600)),
    ],
)
def test_what_the_owner_leaves_out_of_an_amendment_stays_as_it_is(
    amend: Amend, named: dict[str, Any], found: tuple[Any, ...]
) -> None:
    assert coming(amend(MARKET, **named)) == found


def test_what_is_left_out_stays_as_it_was_agreed_last_and_not_as_it_is_read_now(amend: Amend) -> None:
    amend(MARKET, fields=("credit_code", "name"))
    grant = amend(MARKET, freshness_seconds=60)
    assert coming(grant) == (("credit_code", "name"), {"name": "first"}, (HEFEI,), 60)
    with refused("E_ROLE"):
        amend(None, fields=GIVEN)
    assert coming(grant)[0] == ("credit_code", "name"), "the owner has begun to take it back"


def test_who_speaks_for_the_owner_after_a_succession_gives_and_nobody_else(
    ledger: MemoryLedger, schemas: SchemaRepository, amend: Amend, grant: GrantEntry
) -> None:
    catalogue = load(Settings().catalogue)
    heir, other = Department("health"), Department("justice")
    day = ledger.clock.now().date() + timedelta(days=1)
    gone = catalogue.departments[MARKET].model_copy(update={"valid_until": day, "successors": (heir,)})
    departments = {**catalogue.departments, MARKET: gone}
    ledger.execute(ApplyCatalogue.of(catalogue.model_copy(update={"departments": departments})), "operator")
    ledger.clock.forward(days=2)
    ledger.execute(SettleSuccession())
    for by in (None, other, TAX):
        with refused("E_ROLE"):
            amend(by, fields=ASKED)
    assert set(coming(amend(heir, fields=ASKED))[0]) == set(ASKED)
    ledger.execute(PlaceGrant(grant.grant, schemas))
    ledger.execute(SwitchShare(grant.grant))
    with refused("E_ROLE"):
        amend(None, scope=())


# suspensions


@pytest.mark.parametrize("first", [MARKET, None])
def test_an_overseer_does_not_let_go_on_what_the_owner_has_stopped(
    ledger: MemoryLedger, grant: GrantEntry, first: Department | None
) -> None:
    for by in (first, MARKET if first is None else None):
        ledger.execute(SuspendGrant(grant.grant, by, "a reason"))
        assert ledger.execute(SuspendGrant(grant.grant, by, "again")).entities == ()
    assert set(grant.suspensions) == {PROVIDER, OVERSEER}
    ledger.execute(ResumeGrant(grant.grant, None))
    assert set(grant.suspensions) == {PROVIDER} and grant.suspended
    with refused("E_ROLE"):
        ledger.execute(ResumeGrant(grant.grant, None))
    ledger.execute(ResumeGrant(grant.grant, MARKET))
    assert not grant.suspended
    assert ledger.execute(ResumeGrant(grant.grant, None)).entities == ()
    assert fold(ledger.events) == ledger.state


def test_an_overseer_ends_its_own_suspension_and_so_may_the_owner(ledger: MemoryLedger, grant: GrantEntry) -> None:
    for by in (None, MARKET):
        ledger.execute(SuspendGrant(grant.grant, None, "a reason"))
        ledger.execute(ResumeGrant(grant.grant, by))
        assert not grant.suspended
    assert [event.data["by"] for event in ledger.events if event.event == "grant-resumed"] == [OVERSEER, PROVIDER]


def test_a_suspension_of_a_ledger_that_does_not_say_by_whom_is_the_owners(
    ledger: MemoryLedger, grant: GrantEntry
) -> None:
    def told(event: str, **data: str) -> None:
        GRANT_HANDLERS[event](ledger.state, {"grant": grant.grant, **data}, ledger.clock.now())

    told("grant-suspended", reason="misuse")
    with refused("E_ROLE"):
        ledger.execute(ResumeGrant(grant.grant, None))
    told("grant-suspended", reason=AWAITED)
    assert set(grant.suspensions) == {PROVIDER, EXCHANGE}
    told("grant-resumed")
    assert not grant.suspended

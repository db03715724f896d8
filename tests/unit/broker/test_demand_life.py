"""The life of a demand beside submission and reply: supplements, review, extension, renewal, disputes, notices, use."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.automatic import (
    AnnounceExpiry,
    ConsentUnconditional,
    EndExpired,
    consents_wait,
    ends_within,
)
from exchange.broker.demands.clocks import clocks
from exchange.broker.demands.dispute import EscalateDispute, OpenDispute, SettleDispute
from exchange.broker.demands.life import described
from exchange.broker.demands.renew import RenewDemand
from exchange.broker.demands.reply import ConsentDemand, RefuseDemand
from exchange.broker.demands.review import ExtendReply, RequestExtension, ReviewDemand
from exchange.broker.demands.state import demand_state
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.demands.supplement import RequestSupplement, SupplementDemand
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import RevokeGrant
from exchange.broker.grants.use import ConfirmDisposal, EndPurpose, RecordUse, must_dispose
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, GrantEntry
from exchange.names import DemandId, Department
from exchange.observe import metrics
from tests.harness.memory.ledger import START, MemoryLedger, publish_demands

TAX, MARKET, CIVIL, LAND = (
    Department(name) for name in ("taxation", "market-regulation", "civil-affairs", "natural-resources")
)
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch-exchange"}
COMPANIES, MARRIAGES, RIGHTS = "102001/0001", "101004/0001", "103001/0001"
CONDITIONAL = ("credit_code", "legal_representative")
Submit = Callable[..., DemandEntry]


@pytest.fixture
def submit(ledger: MemoryLedger, schemas: SchemaRepository) -> Submit:
    def submit(**asked: Any) -> DemandEntry:
        usual = {
            "demander": TAX,
            "resource": COMPANIES,
            "fields": CONDITIONAL,
            **STATED,
            "scenario": f"duty {ledger.state.seq}",
        }
        done = ledger.execute(SubmitDemand(**(usual | asked), schemas=schemas), "taxation")
        return ledger.state.demands[DemandId(done.entities[0])]

    return submit


@pytest.fixture
def granted(ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository) -> Callable[..., GrantEntry]:
    def granted(said: dict[str, Any] | None = None, **asked: Any) -> GrantEntry:
        demand = submit(**asked)
        ledger.execute(ConsentDemand(demand=demand.demand, by=demand.provider, schemas=schemas, **(said or {})))
        return ledger.state.grants[demand.grants[-1]]

    return granted


def active(ledger: MemoryLedger, grant: GrantEntry, schemas: SchemaRepository) -> GrantEntry:
    ledger.execute(PlaceGrant(grant.grant, schemas))
    ledger.execute(ActivateGrant(grant.grant))
    return grant


def state_of(ledger: MemoryLedger, demand: DemandEntry) -> DemandState:
    return demand_state(ledger.state, demand, ledger.clock.now())


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


def overdue(ledger: MemoryLedger) -> dict[tuple[str, ...], float]:
    publish_demands(ledger.state, ledger.clock.now())
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.REGISTRY.collect()
        if family.name == "exchange_demands_overdue"
        for sample in family.samples
    }


# what a demand lacks


def test_an_incomplete_demand_is_completed_by_what_it_lacks_and_only_then_the_clock_starts(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    demand = submit(fields=(), legal_basis="", scenario=" ")
    assert state_of(ledger, demand) is DemandState.INCOMPLETE
    assert set(demand.missing) == {"legal_basis", "scenario", "fields"}
    assert clocks(ledger.state, demand, ledger.clock.now()).reply is None

    ledger.clock.forward(days=1)
    more = SupplementDemand(demand=demand.demand, by=TAX, stated={"legal_basis": "a law"}, schemas=schemas)
    ledger.execute(more)
    assert set(demand.missing) == {"scenario", "fields"}
    rest = {"stated": {"scenario": "a duty"}, "fields": CONDITIONAL}
    ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, schemas=schemas, **rest))

    assert state_of(ledger, demand) is DemandState.SUBMITTED and demand.complete == ledger.clock.now()
    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None and reply.due == date(2026, 12, 9)


def test_what_a_complete_demand_asks_for_cannot_be_changed_by_a_supplement(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    demand = submit()
    with refused("E_DEMAND_STATE"):
        ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, fields=("name",), schemas=schemas))
    with refused("E_ROLE"):
        ledger.execute(SupplementDemand(demand=demand.demand, by=MARKET, answer="x", schemas=schemas))
    with refused("E_REQUEST"):
        ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, schemas=schemas))


def test_a_supplement_cannot_make_a_second_demand_for_the_same(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    submit()
    empty = submit(fields=())
    with refused("E_DEMAND_DUPLICATE"):
        ledger.execute(SupplementDemand(demand=empty.demand, by=TAX, fields=CONDITIONAL, schemas=schemas))


@pytest.mark.parametrize(("pauses", "due"), [(False, date(2026, 12, 8)), (True, date(2026, 12, 11))])
def test_a_request_for_more_stops_the_clock_only_where_that_is_the_policy(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository, pauses: bool, due: date
) -> None:
    demand = submit()
    ask = RequestSupplement(demand=demand.demand, by=MARKET, missing=("the article",), pauses=pauses)
    ledger.execute(ask)
    ledger.execute(ask)  # asking again while nothing was answered stops nothing twice
    ledger.clock.forward(days=3)
    ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, answer="art. 6", schemas=schemas))

    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None and reply.due == due
    assert demand.complete == START, "it goes on to count"


def test_only_who_has_the_demand_before_it_asks_for_more(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(resource=MARRIAGES, fields=("certificate_number", "event"))
    assert state_of(ledger, demand) is DemandState.IN_REVIEW
    with refused("E_ROLE"):
        ledger.execute(RequestSupplement(demand=demand.demand, by=CIVIL, missing=("x",)))
    ledger.execute(RequestSupplement(demand=demand.demand, by=None, missing=("x",)))


def test_a_pause_of_the_review_lengthens_the_review_and_not_the_reply(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    def due() -> tuple[date | None, date | None]:
        found = clocks(ledger.state, demand, ledger.clock.now())
        return (found.review and found.review.due), (found.reply and found.reply.due)

    demand = submit(resource=MARRIAGES, fields=("certificate_number", "event"))
    assert due() == (date(2026, 11, 26), None)
    ledger.execute(RequestSupplement(demand=demand.demand, by=None, missing=("x",), pauses=True))
    ledger.clock.forward(days=6)  # 4 working days
    ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, answer="x", schemas=schemas))
    assert due() == (date(2026, 12, 2), None), "who waits for an answer is not late meanwhile"
    ledger.execute(ReviewDemand(demand=demand.demand))
    assert due() == (date(2026, 12, 2), date(2026, 12, 14)), "ten working days from the review on"
    ledger.execute(RequestSupplement(demand=demand.demand, by=CIVIL, missing=("y",), pauses=True))
    ledger.clock.forward(days=2)
    ledger.execute(SupplementDemand(demand=demand.demand, by=TAX, answer="y", schemas=schemas))
    assert due() == (date(2026, 12, 2), date(2026, 12, 16)), "the provider's pause is its own"


def test_a_request_of_the_review_that_nobody_answered_stops_nothing_after_the_review(
    ledger: MemoryLedger, submit: Submit
) -> None:
    demand = submit(resource=MARRIAGES, fields=("certificate_number", "event"))
    ledger.execute(ReviewDemand(demand=demand.demand, passed=False, missing=("x",), pauses=True))
    ledger.clock.forward(days=1)
    ledger.execute(ReviewDemand(demand=demand.demand))
    ledger.clock.forward(days=30)
    found = clocks(ledger.state, demand, ledger.clock.now())
    assert found.review is not None and found.reply is not None
    assert (found.review.due, found.review.overdue) == (date(2026, 11, 27), False)
    assert (found.reply.due, found.reply.late) == (date(2026, 12, 9), True)


# review and extension


def test_a_reviewed_demand_reaches_its_provider_when_the_competent_department_passes_it(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    demand = submit(resource=MARRIAGES, fields=("certificate_number", "event"))
    with refused("E_DEMAND_STATE"):
        ledger.execute(ConsentDemand(demand=demand.demand, by=CIVIL, schemas=schemas))
    with refused("E_REQUEST"):
        ledger.execute(ReviewDemand(demand=demand.demand, passed=False))
    ledger.execute(ReviewDemand(demand=demand.demand, passed=False, missing=("the office that uses it",)))
    assert state_of(ledger, demand) is DemandState.IN_REVIEW
    running = clocks(ledger.state, demand, ledger.clock.now())
    assert running.review is not None and running.review.due == date(2026, 11, 26) and running.reply is None

    ledger.clock.forward(days=3)
    assert overdue(ledger) == {("review", "competent-department"): 1}
    ledger.execute(ReviewDemand(demand=demand.demand))
    assert state_of(ledger, demand) is DemandState.SUBMITTED
    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None and reply.due == date(2026, 12, 11), "ten working days from the day it was passed on"


def test_a_reply_is_extended_once_by_the_competent_department_as_the_provider_asked(
    ledger: MemoryLedger, submit: Submit
) -> None:
    demand = submit()
    for days, reason in ((11, "moving"), (0, "moving"), (5, " ")):
        with refused("E_EXTENSION"):
            ledger.execute(RequestExtension(demand=demand.demand, by=MARKET, days=days, reason=reason))
    with refused("E_EXTENSION"):
        ledger.execute(ExtendReply(demand=demand.demand))
    with refused("E_ROLE"):
        ledger.execute(RequestExtension(demand=demand.demand, by=TAX, days=5, reason="moving"))
    ledger.execute(RequestExtension(demand=demand.demand, by=MARKET, days=5, reason="moving"))
    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None and reply.due == date(2026, 12, 8), "asked for is not given"
    ledger.execute(ExtendReply(demand=demand.demand))
    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None and reply.due == date(2026, 12, 15)
    for again in (
        ExtendReply(demand=demand.demand, days=1, reason="more"),
        RequestExtension(demand=demand.demand, by=MARKET, days=1, reason="more"),
    ):
        with refused("E_EXTENSION"):
            ledger.execute(again)


def test_an_extension_does_not_heal_an_overdue_reply(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit()
    ledger.clock.forward(days=20)
    assert overdue(ledger) == {("reply", "market-regulation"): 1}
    with refused("E_EXTENSION"):
        ledger.execute(ExtendReply(demand=demand.demand, days=10, reason="late"))


# automatic consent


def test_what_is_shared_without_conditions_is_granted_by_the_exchange_at_once(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    prompt, waiting = submit(fields=("credit_code", "name")), submit()
    assert consents_wait(ledger.state, ledger.clock.now())
    ledger.execute(ConsentUnconditional(schemas), "exchange")

    assert state_of(ledger, prompt) is DemandState.CONSENTED and state_of(ledger, waiting) is DemandState.SUBMITTED
    grant = ledger.state.grants[prompt.grants[0]]
    assert grant.automatic and grant.granted == ("credit_code", "name")
    assert ledger.events[-1].actor == "exchange"
    assert not consents_wait(ledger.state, ledger.clock.now())
    assert not ledger.execute(ConsentUnconditional(schemas), "exchange").entities


def test_a_person_who_consents_to_what_the_exchange_has_granted_changes_nothing_and_cannot_narrow_it_so(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    demand = submit(fields=("credit_code", "name"))
    ledger.execute(ConsentUnconditional(schemas), "exchange")
    assert not ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas)).entities
    for narrower in ({"fields": ("name",)}, {"conditions": "only here"}, {"freshness_seconds": 1}):
        with refused("E_DEMAND_STATE"):
            ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas, **narrower))
    with refused("E_ROLE"):
        ledger.execute(ConsentDemand(demand=demand.demand, by=CIVIL, schemas=schemas))
    assert len(demand.grants) == 1


def test_a_resource_may_ask_for_a_person_instead(submit: Submit, ledger: MemoryLedger) -> None:
    ledger.state.resources[COMPANIES].details["consent"] = "person"
    submit(fields=("credit_code", "name"))
    assert not consents_wait(ledger.state, ledger.clock.now())


# consent with an end, notices


def test_a_grant_ends_when_its_provider_let_it_end_and_is_announced_30_7_and_1_days_before(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry]
) -> None:
    end = START + timedelta(days=40)
    grant = granted({"until": end, "conditions": "only for the register"}, use_until=START + timedelta(days=400))
    said = []
    for _ in range(41):
        ledger.execute(AnnounceExpiry(), "exchange")
        ledger.execute(AnnounceExpiry(), "exchange")
        ledger.execute(EndExpired(), "exchange")
        ledger.clock.forward(days=1)
    said = [(event.event, event.data.get("days"), (event.moment - START).days) for event in ledger.events[-4:]]

    assert said == [
        ("expiry-announced", 30, 10),
        ("expiry-announced", 7, 33),
        ("expiry-announced", 1, 39),
        ("grant-ended", None, 40),
    ]
    assert grant.end_reason == "expired" and grant.conditions == "only for the register"


def test_a_consent_does_not_outlast_the_use_period_nor_end_before_it_begins(
    submit: Submit, ledger: MemoryLedger, schemas: SchemaRepository
) -> None:
    demand = submit(use_from=START + timedelta(days=5), use_until=START + timedelta(days=9))
    for days in (4, 10):
        with refused("E_PERIOD"):
            until = START + timedelta(days=days)
            ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, until=until, schemas=schemas))


def test_a_short_grant_is_not_announced_for_days_that_it_never_had(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry]
) -> None:
    granted(use_until=START + timedelta(days=5))
    ledger.execute(AnnounceExpiry(), "exchange")
    assert [event.data["days"] for event in ledger.events if event.event == "expiry-announced"] == [7]


# renewal


def test_a_renewal_continues_the_use_period_and_the_two_never_count_together(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    end = START + timedelta(days=60)
    demand = ledger.state.demands[granted(use_until=end).demand]
    again = RenewDemand(demand=demand.demand, by=TAX, use_until=end + timedelta(days=365), schemas=schemas)
    with refused("E_ROLE"):
        ledger.execute(RenewDemand(demand=demand.demand, by=MARKET, schemas=schemas))
    with refused("E_PERIOD"):
        ledger.execute(RenewDemand(demand=demand.demand, by=TAX, use_until=end, schemas=schemas))
    (renewed,) = ledger.execute(again).entities
    with refused("E_RENEWAL"):
        ledger.execute(again)

    new = ledger.state.demands[DemandId(renewed)]
    assert (new.renews, new.use_from, new.fields, new.scope) == (demand.demand, end, demand.fields, demand.scope)
    assert state_of(ledger, new) is DemandState.SUBMITTED


def test_a_demand_without_an_end_needs_no_renewal(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    with refused("E_RENEWAL"):
        ledger.execute(RenewDemand(demand=granted().demand, by=TAX, schemas=schemas))


# disputes


def test_a_dispute_goes_upwards_and_may_put_a_refused_demand_before_its_provider_again(
    ledger: MemoryLedger, submit: Submit, schemas: SchemaRepository
) -> None:
    demand = submit()
    ledger.execute(RefuseDemand(demand=demand.demand, by=MARKET, reason="no duty"))
    replied = demand.replied
    with refused("E_ROLE"):
        ledger.execute(OpenDispute(demand=demand.demand, by=CIVIL, grounds="x"))
    for nothing in (
        SettleDispute(demand=demand.demand, outcome="upheld", reason="x"),
        EscalateDispute(demand=demand.demand, by=TAX, reason="x"),
        OpenDispute(demand=demand.demand, by=TAX, grounds=" "),
    ):
        with refused("E_DISPUTE"):
            ledger.execute(nothing)
    ledger.execute(OpenDispute(demand=demand.demand, by=TAX, grounds="the law names it"))
    levels = []
    for by in (TAX, None):
        ledger.execute(EscalateDispute(demand=demand.demand, by=by, reason="no agreement"))
        assert demand.dispute is not None
        levels.append(demand.dispute.level)
    assert levels == ["competent-department", "government"]
    with refused("E_DISPUTE"):
        ledger.execute(EscalateDispute(demand=demand.demand, by=None, reason="higher"))
    assert state_of(ledger, demand) is DemandState.REFUSED
    ledger.execute(SettleDispute(demand=demand.demand, outcome="reply-again", reason="the basis holds"))

    assert state_of(ledger, demand) is DemandState.SUBMITTED
    ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas))
    assert state_of(ledger, demand) is DemandState.CONSENTED
    assert demand.replied == replied, "the first reply is the one that was due"


# use, purpose, disposal


def test_who_needs_the_data_no_longer_ends_the_grant_and_confirms_the_disposal(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    grant = active(ledger, granted(), schemas)
    with refused("E_GRANT_STATE"):
        ledger.execute(ConfirmDisposal(grant=grant.grant, by=TAX, how="dropped"))
    with refused("E_ROLE"):
        ledger.execute(EndPurpose(grant=grant.grant, by=MARKET, reason="met"))
    with refused("E_REVOKE_REASON"):
        ledger.execute(EndPurpose(grant=grant.grant, by=TAX, reason=""))
    ledger.execute(EndPurpose(grant=grant.grant, by=TAX, reason="the survey is done"))
    assert grant.end_reason == "purpose-ended" and must_dispose(grant)
    with refused("E_REQUEST"):
        ledger.execute(ConfirmDisposal(grant=grant.grant, by=TAX, how=" "))
    ledger.execute(ConfirmDisposal(grant=grant.grant, by=TAX, how="table dropped"))
    assert not must_dispose(grant) and grant.disposed == ledger.clock.now()
    assert not ledger.execute(ConfirmDisposal(grant=grant.grant, by=TAX, how="again")).entities


def test_grants_that_end_soon_and_disposals_not_confirmed_are_shown_by_department(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    grant = active(ledger, granted(use_until=START + timedelta(days=6)), schemas)
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.GRANTS_EXPIRING.read() == {("taxation", "7"): 1.0} and metrics.DISPOSALS_OPEN.read() == {}
    assert ends_within(ledger.state, grant, START + timedelta(days=6))
    assert not ends_within(ledger.state, grant, START + timedelta(days=5))

    ledger.clock.forward(days=6)
    ledger.execute(EndExpired(), "exchange")
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.GRANTS_EXPIRING.read() == {} and metrics.DISPOSALS_OPEN.read() == {("taxation",): 1.0}


def test_a_revoked_grant_that_was_never_active_leaves_nothing_to_dispose_of(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry]
) -> None:
    grant = granted()
    ledger.execute(RevokeGrant(grant.grant, MARKET, "a mistake"))
    assert not must_dispose(grant)


def test_use_is_recorded_by_the_grantee_and_stays(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    grant = active(ledger, granted(), schemas)
    with refused("E_ROLE"):
        ledger.execute(RecordUse(grant=grant.grant, by=MARKET, scenario="a", process="b"))
    with refused("E_REQUEST"):
        ledger.execute(RecordUse(grant=grant.grant, by=TAX, scenario="a", process=" "))
    ledger.execute(
        RecordUse(grant=grant.grant, by=TAX, scenario="registration", process="matched", effect="fewer papers")
    )
    ledger.clock.forward(days=4 * 366)
    assert [(use.scenario, use.effect) for use in grant.uses] == [("registration", "fewer papers")]


def test_nobody_changes_a_grant_without_a_recorded_reason(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry], schemas: SchemaRepository
) -> None:
    grant = granted()
    with refused("E_REVOKE_REASON"):
        ledger.execute(AmendGrant(grant=grant.grant, by=MARKET, reason=" ", fields=("credit_code",), schemas=schemas))
    ledger.execute(
        AmendGrant(grant=grant.grant, by=MARKET, reason="too much", fields=("credit_code",), schemas=schemas)
    )
    assert ledger.events[-1].data["reason"] == "too much"


# clocks of years to come


def test_a_deadline_in_a_year_that_is_not_announced_is_provisional(submit: Submit, ledger: MemoryLedger) -> None:
    ledger.clock.moment = datetime(2026, 12, 29, 8, tzinfo=UTC)
    reply = clocks(ledger.state, submit(), ledger.clock.now()).reply
    assert reply is not None and reply.provisional and reply.due.year == 2027


def test_delivery_of_a_grant_for_later_is_due_from_the_beginning_of_its_use_period(
    ledger: MemoryLedger, granted: Callable[..., GrantEntry]
) -> None:
    grant = granted(use_from=START + timedelta(days=100))
    demand = ledger.state.demands[grant.demand]
    delivery = clocks(ledger.state, demand, START + timedelta(days=90)).delivery
    assert delivery is not None and not delivery.overdue and delivery.due > (START + timedelta(days=120)).date()


# the documentation


def test_the_table_of_the_documentation_is_the_table_of_the_code() -> None:
    page = Path(__file__).parents[3] / "deploy" / "demand-life.md"
    assert page.read_text(encoding="utf-8").rstrip("\n") == described().rstrip("\n")

"""Any sequence of commands: each is taken exactly in the states of the table; nothing is granted without a consent."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.automatic import AnnounceExpiry, ConsentUnconditional, EndExpired, end_of
from exchange.broker.demands.dispute import LEVELS, OUTCOMES, EscalateDispute, OpenDispute, SettleDispute
from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS, IN_REVIEW
from exchange.broker.demands.renew import RenewDemand
from exchange.broker.demands.reply import ConsentDemand, RefuseDemand
from exchange.broker.demands.review import ExtendReply, RequestExtension, ReviewDemand
from exchange.broker.demands.state import demand_state, grant_state
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.demands.supplement import RequestSupplement, SupplementDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import CAUSES, BreakFreshness, RestoreFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import ResumeGrant, RevokeGrant, SuspendGrant
from exchange.broker.grants.use import ConfirmDisposal, EndPurpose, RecordUse
from exchange.broker.rate import satisfaction
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.state.ledger_state import DemandEntry, GrantEntry
from exchange.ledger.store.command import Command
from exchange.names import Department, RecordType
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

TAX, COURT, HEALTH = Department("taxation"), Department("high-court"), Department("health")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch-exchange"}
Wanted = tuple[str | None, tuple[str, ...]]
WANTED: tuple[Wanted, ...] = (
    ("102001/0001", ("credit_code", "name")),  # without conditions
    ("102001/0001", ("credit_code", "legal_representative")),
    ("101004/0001", ("certificate_number", "event")),  # reviewed
    ("103001/0001", ("unit_number", "location", "status")),
    (None, ("credit_code", "name")),  # offered by nobody
)
MOST_DEMANDS = 9
CLERKS = st.sampled_from((TAX, COURT, HEALTH))
PICK = st.integers(0, 10_000)


@cache
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@cache
def catalogue() -> Catalogue:
    return load(Settings().catalogue)


def provider_of(demand: DemandEntry) -> Department:
    return demand.provider or Department("market-regulation")


def turn(ledger: MemoryLedger, demand: DemandEntry) -> Department | None:
    """Who may ask for more now: the competent department in review, else the provider."""
    return None if demand_state(ledger.state, demand, ledger.clock.now()) is IN_REVIEW else provider_of(demand)


DemandStep = Callable[[MemoryLedger, DemandEntry, int], Command]
DEMAND_COMMANDS: dict[str, DemandStep] = {
    "supplement": lambda _l, d, n: SupplementDemand(
        demand=d.demand, by=d.demander, stated={**STATED, "scenario": f"duty {n % 3}"}, schemas=schemas()
    ),
    "request-supplement": lambda ledger, d, _n: RequestSupplement(
        demand=d.demand, by=turn(ledger, d), missing=("the article",), pauses=True
    ),
    "review": lambda _l, d, n: ReviewDemand(demand=d.demand, passed=n % 3 > 0, missing=() if n % 3 else ("a scope",)),
    "consent": lambda _l, d, n: ConsentDemand(
        demand=d.demand, by=provider_of(d), fields=d.fields[: 1 + n % 2] or None, schemas=schemas()
    ),
    "refuse": lambda _l, d, _n: RefuseDemand(demand=d.demand, by=provider_of(d), reason="no duty"),
    "extend": lambda _l, d, n: (
        RequestExtension(demand=d.demand, by=provider_of(d), days=1 + n % 10, reason="moving")
        if d.extension is None
        else ExtendReply(demand=d.demand)
    ),
    "withdraw": lambda _l, d, _n: WithdrawDemand(demand=d.demand, by=d.demander),
    "renew": lambda _l, d, _n: RenewDemand(demand=d.demand, by=d.demander, schemas=schemas()),
    "dispute": lambda _l, d, n: OpenDispute(
        demand=d.demand, by=d.demander if n % 2 or d.provider is None else d.provider, grounds="no"
    ),
    "escalate": lambda _l, d, _n: EscalateDispute(demand=d.demand, by=None, reason="no agreement"),
    "settle": lambda _l, d, n: SettleDispute(demand=d.demand, outcome=OUTCOMES[n % 3], reason="heard"),
}
GrantStep = Callable[[GrantEntry, DemandEntry], Command]
GRANT_COMMANDS: dict[str, GrantStep] = {
    "suspend": lambda g, d: SuspendGrant(g.grant, provider_of(d), "misuse"),
    "resume": lambda g, d: ResumeGrant(g.grant, provider_of(d)),
    "amend": lambda g, d: AmendGrant(
        grant=g.grant, by=provider_of(d), reason="less", fields=d.fields[:1], schemas=schemas()
    ),
    "revoke": lambda g, d: RevokeGrant(g.grant, provider_of(d), "misuse"),
    "end-purpose": lambda g, d: EndPurpose(grant=g.grant, by=d.demander, reason="met"),
    "record-use": lambda g, d: RecordUse(grant=g.grant, by=d.demander, scenario="a duty", process="matched"),
    "confirm-disposal": lambda g, d: ConfirmDisposal(grant=g.grant, by=d.demander, how="dropped"),
}


class Life(RuleBasedStateMachine):
    """Departments, overseers and the exchange itself do anything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.ledger.execute(ApplyCatalogue.of(catalogue()), "operator")
        self.offset = len(self.ledger.events)

    @property
    def demands(self) -> list[DemandEntry]:
        return list(self.ledger.state.demands.values())

    @property
    def grants(self) -> list[GrantEntry]:
        return list(self.ledger.state.grants.values())

    @initialize()
    def some_demands(self) -> None:
        for number, what in enumerate(WANTED):
            self.submit_one((TAX, COURT, HEALTH)[number % 3], what, 30 if number % 2 else None, number != 1, 0)

    @precondition(lambda self: len(self.demands) < MOST_DEMANDS)
    @rule(
        who=CLERKS,
        what=st.sampled_from(WANTED),
        days=st.none() | st.integers(2, 60),
        complete=st.booleans(),
        duty=st.integers(0, 2),
    )
    def submit(self, who: Department, what: Wanted, days: int | None, complete: bool, duty: int) -> None:
        self.submit_one(who, what, days, complete, duty)

    @precondition(lambda self: self.demands and len(self.demands) < MOST_DEMANDS)
    @rule(which=PICK, fields=st.sampled_from((("status",), ("name", "status"), ())), place=st.booleans())
    def submit_again(self, which: int, fields: tuple[str, ...], place: bool) -> None:
        """Who made a demand makes another one for the same scenario: in its place, or beside it."""
        before = self.demands[which % len(self.demands)]
        named: dict[str, Any] = {"resource": before.resource, "replaces": before.demand if place else None}
        stated = {**STATED, "scenario": before.details["scenario"]}
        asked = fields or before.fields
        command = SubmitDemand(demander=before.demander, fields=asked, schemas=schemas(), **named, **stated)
        self._try(command, before.demander)

    def submit_one(self, who: Department, what: Wanted, days: int | None, complete: bool, duty: int) -> None:
        resource, fields = what
        named: dict[str, Any] = {"resource": resource}
        if resource is None:
            named = {"record_type": RecordType("legal-entity.registration"), "provider": Department("civil-affairs")}
        stated = {**STATED, "scenario": f"duty {duty}", **({} if complete else {"legal_basis": ""})}
        until = None if days is None else self.ledger.clock.now() + timedelta(days=days)
        command = SubmitDemand(demander=who, fields=fields, use_until=until, schemas=schemas(), **named, **stated)
        self._try(command, who)

    @precondition(lambda self: self.demands)
    @rule(step=st.sampled_from(sorted(DEMAND_COMMANDS)), which=PICK, variant=PICK)
    def step_of_a_demand(self, step: str, which: int, variant: int) -> None:
        demand = self.demands[which % len(self.demands)]
        state = demand_state(self.ledger.state, demand, self.ledger.clock.now())
        seq = self.ledger.state.seq
        refused = self._try(DEMAND_COMMANDS[step](self.ledger, demand, variant), "clerk")
        if refused is None and self.ledger.state.seq == seq:
            return  # it was so already
        assert (refused == "E_DEMAND_STATE") == (state not in DEMAND_STEPS[step].states), (step, state, refused)

    @precondition(lambda self: self.grants)
    @rule(step=st.sampled_from(sorted(GRANT_COMMANDS)), which=PICK)
    def step_of_a_grant(self, step: str, which: int) -> None:
        grant = self.grants[which % len(self.grants)]
        state = grant_state(grant)
        demand = self.ledger.state.demands[grant.demand]
        refused = self._try(GRANT_COMMANDS[step](grant, demand), "clerk")
        assert (refused == "E_GRANT_STATE") == (state not in GRANT_STEPS[step].states), (step, state, refused)

    @precondition(lambda self: self.grants)
    @rule(which=PICK, cause=st.sampled_from(CAUSES), serve=st.booleans())
    def exchange_serves(self, which: int, cause: str, serve: bool) -> None:
        grant = self.grants[which % len(self.grants)].grant
        now = self.ledger.clock.now()
        self._try(PlaceGrant(grant, schemas()), "exchange")
        self._try(ActivateGrant(grant), "exchange")
        self._try(MarkFirstDelivered(grant, empty=False), "exchange")
        judged = RestoreFreshness(grant, cause) if serve else BreakFreshness(grant, cause, now)
        self._try(judged, "exchange")

    @precondition(lambda self: self.demands)
    @rule(which=PICK)
    def serve_in_full(self, which: int) -> None:
        """The provider grants all that a demand asks for, and it is delivered."""
        demand = self.demands[which % len(self.demands)]
        if demand.review and demand.reviewed is None:
            self._try(ReviewDemand(demand=demand.demand, passed=True), "supervisor")
        self._try(ConsentDemand(demand=demand.demand, by=provider_of(demand), schemas=schemas()), "clerk")
        for grant in demand.grants[-1:]:
            for command in (PlaceGrant(grant, schemas()), ActivateGrant(grant), MarkFirstDelivered(grant, empty=False)):
                self._try(command, "exchange")

    @rule(hours=st.integers(1, 24 * 20))
    def time_passes(self, hours: int) -> None:
        self.ledger.clock.forward(hours=hours)
        for command in (EndExpired(), AnnounceExpiry(), ConsentUnconditional(schemas())):
            self.ledger.execute(command, "exchange")

    def _try(self, command: Command, actor: str) -> str | None:
        """Execute; the code of the error, or None."""
        before = self.ledger.state.seq
        try:
            self.ledger.execute(command, actor)
        except ExchangeError as error:
            assert self.ledger.state.seq == before
            return error.code
        return None

    @invariant()
    def no_grant_without_a_consent(self) -> None:
        said = {event.data["grant"]: event for event in self.ledger.events if event.event == "demand-consented"}
        assert said.keys() == self.ledger.state.grants.keys()
        for grant, event in said.items():
            demand = self.ledger.state.demands[self.ledger.state.grants[grant].demand]
            assert demand.complete is not None and demand.complete <= event.moment
            assert not demand.review or (demand.reviewed is not None and demand.reviewed <= event.moment)
            assert set(event.data["fields"]) | set(event.data["masked"]) <= set(demand.fields)

    @invariant()
    def nothing_runs_beyond_its_end(self) -> None:
        now: datetime = self.ledger.clock.now()
        state = self.ledger.state
        assert set(state.running) == {grant.grant for grant in self.grants if grant.ended is None}
        for grant in state.running.values():
            assert state.demands[grant.demand].withdrawn is None
            end = end_of(state, grant)
            assert end is None or end > now

    @invariant()
    def strict_is_never_more_than_weighted(self) -> None:
        rate = satisfaction.rate(self.ledger.state, self.ledger.clock.now())
        assert rate.strict is None or (rate.weighted is not None and rate.strict <= rate.weighted <= 1)

    @invariant()
    def one_need_is_satisfied_once(self) -> None:
        """Of all that one department asks of one resource for one scenario, one demand at most is satisfied."""
        state, now = self.ledger.state, self.ledger.clock.now()
        satisfied = [one.demand for one in satisfaction.judged(state, now) if one.strictly]
        needs = {(one.demander, one.resource, one.details["scenario"]) for one in satisfied}
        assert len(needs) == len(satisfied)

    @invariant()
    def what_waits_is_an_index_of_the_demands(self) -> None:
        state = self.ledger.state
        waiting = {d.demand for d in self.demands if d.withdrawn is None and d.refused is None and not d.grants}
        assert set(state.awaiting) == waiting
        assert set(state.prompt) == {d for d in waiting if _prompt(state.demands[d])}

    def teardown(self) -> None:
        events = self.ledger.events
        whole = fold(events)
        assert whole == self.ledger.state
        for cut in range(self.offset, len(events), 7):
            assert fold(events[:cut]).seq == cut


def _prompt(demand: DemandEntry) -> bool:
    return demand.reply_days == 1 and demand.replied is None


assert set(DEMAND_COMMANDS) == set(DEMAND_STEPS)
assert set(GRANT_COMMANDS) == set(GRANT_STEPS)
assert LEVELS[0] == "negotiation"

TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)

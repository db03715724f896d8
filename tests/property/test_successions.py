"""Any reforms in any order: nobody holds what it may not, nobody who is gone holds anything, nothing is lost."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.state import acts_for
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.departments.succession import SettleSuccession, SucceedDepartment, awaited, has_ended
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.calendar import day_in_shanghai
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.fold.grants import AWAITED, EXCHANGE
from exchange.names import DemandId, Department
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

DEPARTMENTS = tuple(map(Department, ("taxation", "human-resources", "health", "civil-affairs", "market-regulation")))
OFFERED = ("102001/0001", "101002/0001")
ASKED = (("credit_code", "name"), ("name", "status"), ("resident_id", "provider_code"), ("name",))
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}
department = st.sampled_from(DEPARTMENTS[:3]) | st.sampled_from(DEPARTMENTS)
some = st.lists(department, max_size=2, unique=True)
steps = st.one_of(
    st.tuples(st.just("grant"), department, st.sampled_from(OFFERED), st.sampled_from(ASKED)),
    st.tuples(st.just("grant"), department, st.just(OFFERED[0]), st.sampled_from(ASKED)),
    st.tuples(st.just("plan"), department, some, st.sampled_from((0, 0, 1))),
    st.tuples(st.just("decide"), department, some, st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 2)),
)


@cache
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@cache
def catalogue() -> ApplyCatalogue:
    return ApplyCatalogue.of(load(Settings().catalogue))


class Reforms:
    """A ledger and what can happen to it. What a command refuses does not happen."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.ledger.execute(catalogue())
        self.ledger.execute(SettleSuccession())
        for one in DEPARTMENTS:
            self.ledger.execute(AddDepartment(one))
        self.planned: dict[str, dict[str, Any]] = {}

    def grant(self, demander: Department, resource: str, fields: tuple[str, ...]) -> None:
        asked = SubmitDemand(demander=demander, resource=resource, fields=fields, **STATED, schemas=schemas())
        demand = self.ledger.state.demands[DemandId(self.ledger.execute(asked).entities[0])]
        provider = self.ledger.state.resources[resource].provider
        self.ledger.execute(ConsentDemand(demand=demand.demand, by=provider, schemas=schemas()))
        self.ledger.execute(PlaceGrant(demand.grants[0], schemas()))
        self.ledger.execute(ActivateGrant(demand.grants[0]))

    def plan(self, one: Department, successors: list[Department], days: int) -> None:
        """The catalogue says that a department ends, now or soon."""
        if one in successors or self.ledger.state.departments[one].valid_until is not None:
            return
        day = day_in_shanghai(self.ledger.clock.now()) + timedelta(days=days)
        self.planned[one] = {"valid_until": day.isoformat(), "successors": list(successors)}
        told = tuple(data | self.planned.get(data["department"], {}) for data in catalogue().departments)
        self.ledger.execute(replace(catalogue(), departments=told))

    def decide(self, one: Department, heirs: list[Department], whole: bool) -> None:
        default = heirs[-1] if whole and heirs else None
        self.ledger.execute(SucceedDepartment(department=one, heirs=tuple(heirs), default=default, reason="reform"))

    def wait(self, days: int) -> None:
        self.ledger.clock.forward(days=days)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=6, max_size=16))
def test_after_any_reforms_each_demand_has_an_owner_that_may_hold_it_or_waits_suspended(
    happened: list[tuple[Any, ...]],
) -> None:
    reforms = Reforms()
    ledger = reforms.ledger
    for name, *about in happened:
        act: Callable[..., None] = getattr(reforms, name)
        with suppress(ExchangeError):
            act(*about)
        before = {grant: ledger.state.demands[entry.demand].demander for grant, entry in ledger.state.running.items()}
        ledger.execute(SettleSuccession())
        assert ledger.execute(SettleSuccession()).entities == ()
        check(ledger)
        kept = {grant for grant, owner in before.items() if not has_ended(ledger.state, owner, ledger.clock.now())}
        assert kept <= ledger.state.running.keys()
    assert fold(ledger.events) == ledger.state


def check(ledger: MemoryLedger) -> None:
    state, now = ledger.state, ledger.clock.now()
    waiting = {one.demand for some_ in awaited(state, now).values() for one in some_}
    held: dict[tuple[str, str], set[bool]] = {}
    for grant in state.running.values():
        demand = state.demands[grant.demand]
        gone = has_ended(state, demand.demander, now)
        assert gone == (demand.demand in waiting)
        assert not gone or grant.suspensions.get(EXCHANGE) == AWAITED
        if not gone:
            assert EXCHANGE not in grant.suspensions
            held.setdefault((demand.demander, grant.terms.record_type), set()).add(grant.terms.pseudonymous)
    assert all(len(kinds) == 1 for kinds in held.values())
    rights = wanted(state, now, None).acls
    assert not [
        acl for acl in rights if acl.principal in DEPARTMENTS and has_ended(state, Department(acl.principal), now)
    ]
    for event in ledger.events:
        if event.event == "department-succeeded":
            owners = {Department(heir) for heir in event.data["transfers"].values()}
            assert all(acts_for(state, heir, Department(event.entity)) for heir in owners)

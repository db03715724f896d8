"""Departments that are merged, split or renamed: who holds what afterwards, by one event; and what waits for people."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.admission.inboxes import inbox, inbox_topics
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.departments.succession import ENDED, MERGED, SettleSuccession, SucceedDepartment, awaited
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import SuspendGrant
from exchange.broker.rate.satisfaction import BY, rates
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.fold.grants import AWAITED, EXCHANGE, PROVIDER
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.names import DemandId, Department, RecordType, grant_group, inbox_topic
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger, chain

TAX, MARKET, HR = Department("taxation"), Department("market-regulation"), Department("human-resources")
HEALTH, CIVIL = Department("health"), Department("civil-affairs")
ENTERPRISES = "102001/0001"
COMPANY = RecordType("legal-entity.registration")
TODAY = "2026-11-24"
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "批量交换"}
Grant = Callable[..., GrantEntry]


def refused(code: str) -> AbstractContextManager[pytest.ExceptionInfo[ExchangeError]]:
    return pytest.raises(ExchangeError, match=code)


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    ledger.execute(SettleSuccession())
    for department in (TAX, HR, HEALTH):
        ledger.execute(AddDepartment(department))
    return ledger


@pytest.fixture
def grant(ledger: MemoryLedger, schemas: SchemaRepository) -> Grant:
    """A grant that serves all that was asked."""

    def grant(**asked: Any) -> GrantEntry:
        defaults: dict[str, Any] = {"demander": TAX, "resource": ENTERPRISES, "fields": ("credit_code", "name")}
        stated = STATED | {"scenario": f"duty {ledger.state.seq}"}
        made = ledger.execute(SubmitDemand(**(defaults | stated | asked), schemas=schemas))
        demand = ledger.state.demands[DemandId(made.entities[0])]
        assert demand.provider is not None
        ledger.execute(ConsentDemand(demand=demand.demand, by=demand.provider, schemas=schemas))
        entry = ledger.state.grants[demand.grants[-1]]
        ledger.execute(PlaceGrant(entry.grant, schemas))
        ledger.execute(ActivateGrant(entry.grant))
        ledger.execute(MarkFirstDelivered(entry.grant, empty=False))
        return entry

    return grant


def over(ledger: MemoryLedger, department: Department, *successors: str, day: str = TODAY) -> None:
    """The catalogue says that a department ends."""
    command = ApplyCatalogue.of(load(Settings().catalogue))
    ends = {"valid_until": day, "successors": list(successors)}
    of_now = {
        name: {"valid_until": one.valid_until, "successors": list(one.successors)}
        for name, one in ledger.state.departments.items()
    }
    told = tuple(
        data | (ends if data["department"] == department else of_now.get(data["department"], {}))
        for data in command.departments
    )
    ledger.execute(replace(command, departments=told))


def split(ledger: MemoryLedger, demands: Mapping[str, str] | None = None, **changed: Any) -> None:
    """Taxation is split by command."""
    given: dict[str, Any] = {"heirs": (HR, HEALTH), "reason": "reform", "demands": demands or {}}
    ledger.execute(SucceedDepartment(department=TAX, **(given | changed)), "supervisor")


def told(ledger: MemoryLedger, department: Department) -> list[Mapping[str, Any]]:
    return [e.data for e in ledger.events if e.event == "department-succeeded" and e.entity == department]


def readers(ledger: MemoryLedger, grant: GrantEntry) -> set[str]:
    """Who may read as the group of a grant."""
    rights = wanted(ledger.state, ledger.clock.now(), None).acls
    return {acl.principal for acl in rights if acl.name == grant_group(grant.grant)}


def demander(ledger: MemoryLedger, grant: GrantEntry) -> Department:
    return ledger.state.demands[grant.demand].demander


# one heir: by itself


def test_a_succession_is_one_event_that_says_who_holds_what(ledger: MemoryLedger, grant: Grant) -> None:
    one, other = grant(), grant(demander=HR, fields=("credit_code",))
    over(ledger, TAX, HR)
    before = len(ledger.events)
    ledger.execute(SettleSuccession())
    assert ledger.execute(SettleSuccession()).entities == ()
    (event,) = ledger.events[before:]
    assert event.data == {
        "department": TAX,
        "successors": [HR],
        "valid_until": TODAY,
        "transfers": {one.demand: HR},
        "ended": {},
        "reason": "validity-ended",
    }
    assert (demander(ledger, one), one.active, other.active) == (HR, True, True)
    assert readers(ledger, one) == {HR}
    assert not [acl for acl in wanted(ledger.state, ledger.clock.now(), None).acls if acl.principal == TAX]
    assert [entry.event for entry in ledger.state.demands[one.demand].history][-1] == "department-succeeded"
    assert fold(ledger.events) == ledger.state


def test_the_rate_of_a_demander_counts_what_it_took_over(ledger: MemoryLedger, grant: Grant) -> None:
    grant()
    over(ledger, TAX, HR)
    ledger.execute(SettleSuccession())
    by_demander = rates(ledger.state, ledger.clock.now(), BY["demander"])
    assert {name: (rate.counted, rate.strict) for name, rate in by_demander.items()} == {HR: (1, 1.0)}


def test_departments_of_the_past_are_succeeded_without_anything_to_move(ledger: MemoryLedger) -> None:
    (event,) = told(ledger, Department("industry-and-commerce"))
    assert (event["successors"], event["transfers"], event["ended"]) == ([MARKET], {}, {})


def test_demands_move_over_several_mergers(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    over(ledger, TAX, HR)
    over(ledger, HR, HEALTH)
    ledger.execute(SettleSuccession())
    assert demander(ledger, one) == HEALTH


def test_a_successor_gets_no_pseudonyms_beside_clear_keys_and_not_its_own_records(
    ledger: MemoryLedger, grant: Grant
) -> None:
    clear = grant(demander=HR)
    pseudonymous = grant(fields=("name", "status"))
    over(ledger, TAX, HR)
    ledger.execute(SettleSuccession())
    assert (clear.ended, pseudonymous.end_reason) == (None, MERGED)
    assert told(ledger, TAX)[-1]["ended"] == {pseudonymous.grant: MERGED}
    assert pseudonymous.grant not in ledger.state.running
    over(ledger, HR, MARKET)
    ledger.execute(SettleSuccession())
    assert clear.end_reason == MERGED


def test_two_merged_departments_bring_no_pseudonyms_beside_clear_keys(ledger: MemoryLedger, grant: Grant) -> None:
    clear, pseudonymous = grant(demander=HR), grant(fields=("name", "status"))
    over(ledger, TAX, HEALTH)
    over(ledger, HR, HEALTH)
    ledger.execute(SettleSuccession())
    assert sorted([clear.ended is None, pseudonymous.ended is None]) == [False, True]


def test_a_department_keeps_everything_until_its_last_day(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    over(ledger, TAX, HR, day=(START + timedelta(days=1)).date().isoformat())
    assert ledger.execute(SettleSuccession()).entities == ()
    ledger.clock.forward(days=1)
    ledger.execute(SettleSuccession())
    assert demander(ledger, one) == HR


def test_what_a_department_without_any_successor_held_ends(ledger: MemoryLedger, grant: Grant) -> None:
    one, other = grant(), grant(demander=HR)
    over(ledger, TAX)
    ledger.execute(SettleSuccession())
    assert ledger.execute(SettleSuccession()).entities == ()
    assert (one.end_reason, other.ended) == (ENDED, None)
    assert (readers(ledger, one), readers(ledger, other)) == (set(), {HR})


# several heirs: people decide


def test_what_a_split_department_held_waits_suspended_until_people_say_who_goes_on_with_it(
    ledger: MemoryLedger, grant: Grant
) -> None:
    one, two = grant(), grant(fields=("credit_code",))
    over(ledger, TAX, HR, HEALTH)
    ledger.execute(SettleSuccession())
    assert ledger.execute(SettleSuccession()).entities == ()
    assert (one.suspensions, one.ended) == ({EXCHANGE: AWAITED}, None)
    assert readers(ledger, one) == set()
    assert [one.demand for one in awaited(ledger.state, ledger.clock.now())[TAX]] == [one.demand, two.demand]
    (said,) = [event.data for event in ledger.events if event.event == "succession-awaited"]
    assert said == {"department": TAX, "successors": [HR, HEALTH], "demands": [one.demand, two.demand]}
    split(ledger, {one.demand: HEALTH}, default=HR)
    assert (demander(ledger, one), demander(ledger, two)) == (HEALTH, HR)
    assert (one.active, readers(ledger, one), readers(ledger, two)) == (True, {HEALTH}, {HR})
    assert awaited(ledger.state, ledger.clock.now()) == {}
    assert len(told(ledger, TAX)) == 1
    assert fold(ledger.events) == ledger.state


def test_a_grant_that_its_provider_had_suspended_stays_suspended(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    ledger.execute(SuspendGrant(one.grant, MARKET, "misuse"))
    over(ledger, TAX, HR, HEALTH)
    ledger.execute(SettleSuccession())
    split(ledger, default=HR)
    assert one.suspensions == {PROVIDER: "misuse"}


def test_a_department_is_split_by_command_and_ends_that_day(ledger: MemoryLedger, grant: Grant) -> None:
    one, two = grant(), grant(fields=("credit_code",))
    ledger.execute(WithdrawDemand(demand=two.demand, by=TAX))
    split(ledger, {one.demand: HEALTH})
    entry = ledger.state.departments[TAX]
    assert (entry.valid_until, entry.successors, entry.succeeded) == (TODAY, (HR, HEALTH), START)
    assert ledger.events[-1].data["transfers"] == {one.demand: HEALTH}
    assert (ledger.events[-1].actor, ledger.events[-1].data["reason"]) == ("supervisor", "reform")
    assert ledger.execute(SettleSuccession()).entities == ()
    before = len(ledger.events)
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)))
    assert [event.event for event in ledger.events[before:] if event.entity == TAX] == []
    assert ledger.state.departments[TAX].succeeded is not None


def test_a_new_name_is_one_successor_that_needs_no_assignment(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()
    split(ledger, heirs=(HEALTH,))
    assert (demander(ledger, one), one.active) == (HEALTH, True)


def test_a_succession_that_is_not_whole_is_refused_and_says_all_that_is_missing(
    ledger: MemoryLedger, grant: Grant
) -> None:
    one, two = grant(), grant(fields=("credit_code",))
    before = len(ledger.events)
    with refused(f"E_SUCCESSION.*{one.demand}, {two.demand}"):
        split(ledger)
    for changed in (
        {"reason": " ", "default": HR},
        {"heirs": ()},
        {"heirs": (TAX, HR), "default": HR},
        {"heirs": ("industry-and-commerce",)},
        {"default": CIVIL},
        {"demands": {one.demand: CIVIL}, "default": HR},
    ):
        with refused("E_SUCCESSION"):
            split(ledger, **changed)
    with refused("E_UNKNOWN_DEMAND"):
        split(ledger, {"d-0": HR}, default=HR)
    with refused("E_UNKNOWN_DEPARTMENT"):
        split(ledger, heirs=("nobody",))
    assert len(ledger.events) == before
    split(ledger, default=HR)
    with refused("E_SUCCESSION"):
        split(ledger, default=HEALTH)


def test_people_may_not_name_others_than_the_catalogue_does(ledger: MemoryLedger, grant: Grant) -> None:
    grant()
    over(ledger, TAX, HR, HEALTH)
    with refused("E_SUCCESSION"):
        split(ledger, heirs=(CIVIL,))


# keys


def owns(schemas: SchemaRepository, state: LedgerState, department: Department, key: bytes) -> bool:
    record = schemas.latest(COMPANY).record
    assert record is not None
    return inbox(inbox_topic(COMPANY, department), record, state).owns(key)


def test_each_heir_of_a_split_owns_what_it_registers_and_all_own_what_none_does(
    ledger: MemoryLedger, schemas: SchemaRepository
) -> None:
    companies, others = b"91340100MA2N00001X", b"52340100MJA000001K"
    assert (owns(schemas, ledger.state, MARKET, companies), owns(schemas, ledger.state, CIVIL, others)) == (True, True)
    ledger.execute(SucceedDepartment(department=MARKET, heirs=(CIVIL, HEALTH), reason="reform"))
    assert all(owns(schemas, ledger.state, heir, companies) for heir in (CIVIL, HEALTH))
    assert not owns(schemas, ledger.state, HEALTH, others)
    ledger.state.departments[HEALTH].owns = ("9",)
    assert owns(schemas, ledger.state, HEALTH, companies)
    assert not owns(schemas, ledger.state, CIVIL, companies)
    assert inbox_topic(COMPANY, MARKET) in inbox_topics(ledger.state)


def test_successors_of_tomorrow_speak_for_nobody_and_own_no_key_today(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    one, companies = grant(), b"91340100MA2N00001X"
    over(ledger, MARKET, HEALTH, CIVIL, day=(START + timedelta(days=1)).date().isoformat())
    ledger.execute(SettleSuccession())
    assert not owns(schemas, ledger.state, HEALTH, companies)
    with refused("E_ROLE"):
        ledger.execute(SuspendGrant(one.grant, HEALTH, "misuse"))
    ledger.clock.forward(days=1)
    ledger.execute(SettleSuccession())
    assert owns(schemas, ledger.state, HEALTH, companies)
    ledger.execute(SuspendGrant(one.grant, HEALTH, "misuse"))
    assert one.suspended


def test_a_catalogued_split_can_be_decided_before_its_day_and_takes_place_then(
    ledger: MemoryLedger, grant: Grant
) -> None:
    one = grant()
    over(ledger, TAX, HR, HEALTH, day=(START + timedelta(days=1)).date().isoformat())
    split(ledger, default=HR)
    assert (demander(ledger, one), ledger.state.departments[TAX].valid_until) == (HR, TODAY)


# old ledgers


def test_a_ledger_that_told_every_transfer_by_itself_still_folds() -> None:
    demand: dict[str, Any] = {"demand": "d-1", "request": "r", "demander": "x", "provider": "p", "registry": "credit"}
    demand |= {"record_type": "credit.penalty", "fields": ["a"], "complete": True, "use_from": None, "use_until": None}
    department = {"department": "x", "name": "x", "credit_code": "c"}
    state = fold(
        chain(
            [
                ("department-registered", department),
                ("department-succeeded", {"department": "x", "successors": ["y"]}),
                ("demand-submitted", demand),
                ("demand-transferred", {"demand": "d-1", "from": "x", "to": "y"}),
            ]
        )
    )
    assert state.demands[DemandId("d-1")].demander == "y"
    assert state.departments[Department("x")].successors == ("y",)
    assert state.unread == 0
    with refused("E_LEDGER_BROKEN"):
        fold(chain([("department-succeeded", {"department": "x", "successors": ["y"], "transfers": {"d-9": "y"}})]))

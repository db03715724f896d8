"""What does not raise the strict rate, whoever tries; and what does, with the figure that shows it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.dispute import OpenDispute, SettleDispute
from exchange.broker.demands.renew import RenewDemand
from exchange.broker.demands.reply import ConsentDemand, RefuseDemand
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.demands.supplement import SupplementDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.evidence.judge import Agreed, Sight, judge
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant, SwitchShare
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import BreakFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.rate.figures import read_figures
from exchange.broker.rate.periods import Period
from exchange.broker.rate.satisfaction import Rate, rate
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger.fold.apply import fold
from exchange.ledger.state.ledger_state import Condition
from exchange.ledger.store.command import Command
from exchange.names import DemandId, Department, GrantId
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger, chain

TAX, POLICE = Department("taxation"), Department("public-security")
PERSON = "101001/0001"
FIELDS = ("resident_id", "name", "sex", "birth_date")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "batch-exchange"}


class Province:
    """Demands of the tax office for the register of residents, each for a scenario of its own."""

    def __init__(self) -> None:
        self.ledger, self.scenarios = MemoryLedger(), 0
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.do(ApplyCatalogue.of(load(Settings().catalogue)))

    def do(self, command: Command) -> str:
        return self.ledger.execute(command).entities[0]

    def demand(self, *fields: str, by: Department = TAX, **more: Any) -> str:
        self.scenarios += 1
        stated = {**STATED, "scenario": f"duty {self.scenarios}"}
        asked = {"resource": PERSON, "fields": fields or FIELDS, **stated, **more}
        return self.do(SubmitDemand(demander=by, schemas=self.schemas, **asked))

    def consent(self, demand: str, **said: Any) -> GrantId:
        self.do(ConsentDemand(demand=demand, by=POLICE, schemas=self.schemas, **said))
        return self.ledger.state.demands[DemandId(demand)].grants[-1]

    def activated(self, demand: str, **said: Any) -> GrantId:
        grant = self.consent(demand, **said)
        self.do(PlaceGrant(grant, self.schemas))
        self.do(ActivateGrant(grant))
        return grant

    def served(self, demand: str, **said: Any) -> GrantId:
        grant = self.activated(demand, **said)
        self.do(MarkFirstDelivered(grant, empty=False))
        return grant

    @property
    def rate(self) -> Rate:
        return rate(self.ledger.state, self.ledger.clock.now())

    @property
    def strict(self) -> float | None:
        return self.rate.strict


@pytest.fixture
def province() -> Iterator[Province]:
    yield Province()


def test_approvals_on_paper_raise_nothing(province: Province) -> None:
    first = province.demand()
    others = [province.demand(by=Department(name)) for name in ("health", "justice", "education")]
    province.served(first)
    assert province.strict == 1 / 4
    for demand in others[:2]:
        province.consent(demand)
    assert province.strict == 1 / 4
    province.activated(others[2])
    assert province.strict == 1 / 4, "active, and nobody has taken anything"


def test_an_early_refusal_raises_nothing_and_neither_does_asking_again(province: Province) -> None:
    province.served(province.demand(by=Department("justice")))
    hard = province.demand()
    before = province.rate
    province.do(RefuseDemand(demand=hard, by=POLICE, reason="no"))
    assert province.rate == before
    province.served(province.demand())
    assert province.strict == 2 / 3, "the refused demand stays in the denominator beside the one that is served"


def test_a_commit_beyond_the_end_satisfies_nobody(province: Province) -> None:
    grant = province.activated(province.demand())
    now = province.ledger.clock.now()

    def seen(committed: int) -> Sight:
        return Sight(
            ends={0: 10},
            committed={0: committed},
            untaken={},
            stood={0: 10},
            began_empty=False,
            exchange_behind=timedelta(),
            suspended_since=None,
            source_seen=now,
        )

    agreed = Agreed(timedelta(hours=1), timedelta(days=1))
    assert judge(seen(10), agreed, now).delivered
    lied = judge(seen(11), agreed, now)
    assert not lied.delivered
    assert {*lied.broken} == {"grantee"}
    province.do(MarkFirstDelivered(grant, empty=False))
    assert province.strict == 1.0
    province.do(BreakFreshness(grant, "grantee", lied.broken["grantee"]))
    assert province.strict == 0.0, "a grantee that served well loses it by one implausible offset"


def test_the_same_demand_counts_once(province: Province) -> None:
    province.served(province.demand())
    hefei = Condition("household_region", "prefix", ("3401",))
    province.demand(scope=(hefei,))
    before = province.rate
    for fields in (FIELDS, FIELDS[::-1], (*FIELDS, FIELDS[0])):
        for more in ({}, {"scope": (hefei,)}, {"masks": {"name": "first"}}, {"request": "another"}):
            with pytest.raises(ExchangeError) as error:
                province.demand(*fields, **more)
            assert error.value.code == "E_DEMAND_DUPLICATE"
    assert province.rate == before


def test_a_second_grant_of_a_demand_counts_no_more_than_the_best_one() -> None:
    demand = {"demand": "d", "request": "r", "demander": "x", "provider": "p", "registry": "credit"}
    demand |= {"record_type": "credit.penalty", "fields": ["a", "b"], "complete": True}
    steps: list[tuple[str, dict[str, Any]]] = [("demand-submitted", {**demand, "use_from": None, "use_until": None})]
    for grant in ("g", "h"):
        agreed = {"fields": ["a"], "masked": [], "scope_narrowed": False, "freshness_seconds": 60}
        steps.append(("demand-consented", {"demand": "d", "grant": grant, **agreed}))
        steps.append(("grant-activated", {"demand": "d", "grant": grant, "share": "s"}))
        steps.append(("first-delivered", {"grant": grant, "empty": False}))
    found = rate(fold(chain(steps)), START)
    assert (found.strict, found.weighted, found.by_field) == (0.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("said", "weighted"),
    [
        ({"masks": {"name": "first"}}, 0.75),
        ({"fields": FIELDS[:3]}, 0.75),
        ({"scope": (Condition("household_region", "prefix", ("3401",)),)}, 1.0),
    ],
)
def test_giving_less_than_asked_is_never_strict(province: Province, said: dict[str, Any], weighted: float) -> None:
    province.served(province.demand(), **said)
    assert (province.strict, province.rate.weighted) == (0.0, weighted)


def test_what_the_definition_lets_pass_is_told_apart(province: Province) -> None:
    province.served(province.demand(freshness_seconds=60), freshness_seconds=86_400)
    province.served(province.demand(by=Department("justice"), freshness_seconds=60))
    empty = province.activated(province.demand(by=Department("health")))
    province.do(MarkFirstDelivered(empty, empty=True))
    assert (province.strict, province.rate.laxer, province.rate.empty) == (1.0, 1, 1)


def test_taking_back_later_what_was_given_loses_the_strict_rate(province: Province) -> None:
    grant = province.served(province.demand())
    assert province.strict == 1.0
    province.do(AmendGrant(grant=grant, by=POLICE, reason="less", masks={"name": "first"}, schemas=province.schemas))
    assert province.strict == 1.0, "the share of before is still being served"
    province.do(PlaceGrant(grant, province.schemas))
    province.do(SwitchShare(grant))
    province.do(MarkFirstDelivered(grant, empty=False))
    assert province.strict == 0.0


def test_waiting_until_a_demand_is_over_lowers_the_time_weighted_rate() -> None:
    province = Province()
    province.served(province.demand(by=Department("justice")))
    start = province.ledger.clock.now()
    province.demand(use_until=start + timedelta(days=10))
    province.ledger.clock.forward(days=20)
    assert province.strict == 1.0, "nobody needs the second one any more"
    figures = read_figures(
        province.ledger.events, [Period(start, start + timedelta(days=20))], start + timedelta(days=20)
    )
    assert figures.total.time.ratio == pytest.approx(20 / 30)


def test_a_demand_withdrawn_under_pressure_is_listed_as_withdrawn_unsatisfied() -> None:
    province = Province()
    province.served(province.demand(by=Department("justice")))
    start = province.ledger.clock.now()
    pressed = province.demand()
    province.ledger.clock.forward(days=40)
    assert province.strict == 1 / 2
    province.do(WithdrawDemand(demand=pressed, by=TAX, reason="asked to"))
    assert province.strict == 1.0, "the definition lets a withdrawn demand out"
    now = province.ledger.clock.forward(days=1)
    total = read_figures(province.ledger.events, [Period(start, now)], now).total.companions
    assert (total.withdrawn, total.withdrawn_unsatisfied) == (1, 1)
    assert (total.clocks["reply"].kept, total.clocks["reply"].judged) == (1, 2), "and its reply stays missed"


# splitting: one need is one demand

HEFEI, WUHU = (Condition("household_region", "prefix", (place,)) for place in ("3401", "3402"))
DUTY = "核验纳税人身份"


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize(
    "part",
    [
        {"fields": FIELDS[:1]},
        {"fields": FIELDS[1:]},
        {"fields": ("household_region",)},
        {"scope": (HEFEI,)},
        {"scope": (HEFEI, WUHU)},
        {"masks": {"name": "first"}, "fields": FIELDS[:2]},
        {"fields": FIELDS[:1], "mode": "file-download", "request": "another", "legal_basis": "another law"},
        {"fields": FIELDS[:1], "freshness_seconds": 60},
    ],
)
def test_a_need_cannot_be_split_into_demands(province: Province, part: dict[str, Any], granted: bool) -> None:
    province.demand(by=Department("justice"))
    whole = province.demand(scenario=DUTY)
    if granted:
        province.served(whole)
    before = province.rate
    with refused("E_DEMAND_SPLIT"):
        province.demand(**{"scenario": DUTY, **part})
    assert province.rate == before


@pytest.mark.parametrize("written", [f" {DUTY}。", f"（{DUTY}）", "核验 纳税人\n身份", "核验“纳税人”身份；"])
def test_another_way_to_write_a_scenario_is_no_other_need(province: Province, written: str) -> None:
    province.demand(scenario=DUTY)
    with refused("E_DEMAND_SPLIT"):
        province.demand("resident_id", scenario=written)


def test_scenarios_that_say_nothing_are_one(province: Province) -> None:
    province.demand(scenario="——")
    with refused("E_DEMAND_SPLIT"):
        province.demand("resident_id", scenario="……")


def test_no_supplement_and_no_renewal_makes_parts_of_a_need(province: Province) -> None:
    start = province.ledger.clock.now()
    whole = province.served(province.demand(scenario=DUTY, use_until=start + timedelta(days=60)))
    other = province.demand("resident_id", "name", legal_basis="")
    for stated in ({"scenario": DUTY, "legal_basis": "a law"}, {"scenario": f"{DUTY}！"}):
        with refused("E_DEMAND_SPLIT"):
            province.do(SupplementDemand(demand=other, by=TAX, stated=stated, schemas=province.schemas))
    later = start + timedelta(days=50)
    province.demand("name", scenario=f"{DUTY} (2027)", use_from=later, use_until=start + timedelta(days=90))
    demand = province.ledger.state.grants[whole].demand
    renewed = province.do(RenewDemand(demand=demand, by=TAX, schemas=province.schemas))
    with refused("E_DEMAND_SPLIT"):
        province.demand("sex", scenario=DUTY, use_from=start + timedelta(days=70))
    assert province.ledger.state.demands[DemandId(renewed)].renews == demand


def test_what_is_for_another_time_or_another_scenario_is_another_need(province: Province) -> None:
    start = province.ledger.clock.now()
    province.demand(scenario=DUTY, use_until=start + timedelta(days=30))
    province.demand("resident_id", scenario=DUTY, use_from=start + timedelta(days=30))
    province.demand("name", scenario="另一项职责")
    province.demand("resident_id", scenario=DUTY, by=Department("health"))


def test_a_dispute_does_not_bring_back_a_part_beside_another(province: Province) -> None:
    first = province.demand(scenario=DUTY)
    province.do(RefuseDemand(demand=first, by=POLICE, reason="no"))
    second = province.demand("resident_id", "name", scenario=DUTY)
    province.do(OpenDispute(demand=first, by=TAX, grounds="needed"))
    again = SettleDispute(demand=first, outcome="reply-again", reason="it is")
    with refused("E_DEMAND_SPLIT"):
        province.do(again)
    province.do(WithdrawDemand(demand=second, by=TAX))
    province.do(again)
    assert province.ledger.state.awaiting.keys() == {first}


def test_a_wider_demand_takes_the_place_of_one_without_a_gap_and_counts_no_more(province: Province) -> None:
    province.served(province.demand(by=Department("justice")))
    first = province.demand("resident_id", "name", scenario=DUTY)
    old = province.served(first)
    assert province.strict == 1.0
    wider = province.demand(scenario=DUTY, replaces=first)
    assert province.strict == 2 / 3, "until it is served it is one more that is not"
    with refused("E_REPLACEMENT"):
        province.demand("resident_id", "sex", scenario=DUTY, replaces=first)
    widest = province.demand(*FIELDS, "household_region", scenario=DUTY, replaces=wider)
    assert province.strict == 2 / 4
    partly = province.served(wider, fields=FIELDS[:3])
    state = province.ledger.state
    assert state.grants[old].active, "what was wanted is not served in full yet"
    assert state.grants[partly].active
    assert province.strict == 2 / 4
    province.served(widest)
    assert [state.demands[DemandId(one)].withdrawn is not None for one in (first, wider, widest)] == [True, True, False]
    assert {state.grants[one].end_reason for one in (old, partly)} == {"withdrawn"}
    assert province.strict == 1.0
    assert province.rate.counted == 2


@pytest.mark.parametrize("wrong", ["closed", "of another", "for another resource", "unknown"])
def test_only_an_open_demand_of_ones_own_for_the_same_resource_is_replaced(province: Province, wrong: str) -> None:
    demand = province.demand(scenario=DUTY)
    by, code, more = TAX, "E_REPLACEMENT", {}
    if wrong == "closed":
        province.do(RefuseDemand(demand=demand, by=POLICE, reason="no"))
    elif wrong == "of another":
        by, code = Department("health"), "E_ROLE"
    elif wrong == "unknown":
        demand, code = "d-1", "E_UNKNOWN_DEMAND"
    else:
        more = {"resource": "102001/0001"}
    with refused(code):
        province.demand("name", by=by, replaces=demand, **more)


# what no department can do is also seen: the rate by need


def test_invented_scenarios_raise_the_rate_of_demands_but_not_that_of_needs(province: Province) -> None:
    """Whether a scenario is a real one, its provider judges. Who invents them is seen by the rate by need."""
    province.demand(by=Department("justice"))
    for name in FIELDS[1:]:
        province.served(province.demand("resident_id", name))
    assert (province.strict, province.rate.by_need) == (3 / 4, 1 / 2)


def test_an_unmet_part_keeps_the_whole_need_unmet(province: Province) -> None:
    for name in FIELDS[1:3]:
        province.served(province.demand("resident_id", name))
    province.demand("resident_id", FIELDS[3])
    assert (province.strict, province.rate.by_need) == (2 / 3, 0.0)


asked = st.tuples(
    st.sampled_from(["x", "y", "z"]), st.sampled_from(["p", "q"]), st.integers(1, 4), st.booleans(), st.booleans()
)


def ledger_of(demands: list[tuple[str, str, int, bool, bool]], parts: int, which: int) -> Rate:
    """Demands of (demander, provider, fields, served, in full); one of them in as many parts as it has fields."""
    steps: list[tuple[str, dict[str, Any]]] = []
    for number, (demander, provider, fields, served, full) in enumerate(demands):
        names = [f"f{number}-{place}" for place in range(fields)]
        granted = names if full else names[1:]
        whole = (
            [names] if number != which % len(demands) else [names[place::parts] for place in range(min(parts, fields))]
        )
        for place, some in enumerate(whole):
            demand = f"d{number}-{place}"
            data = {"demand": demand, "request": "r", "demander": demander, "provider": provider, "registry": "credit"}
            data |= {"record_type": "credit.penalty", "fields": some, "complete": True}
            steps.append(("demand-submitted", {**data, "use_from": None, "use_until": None}))
            if served:
                agreed = {"fields": [one for one in some if one in granted], "masked": [], "scope_narrowed": False}
                steps += [
                    ("demand-consented", {"demand": demand, "grant": f"g{demand}", **agreed, "freshness_seconds": 60}),
                    ("grant-activated", {"demand": demand, "grant": f"g{demand}", "share": "s"}),
                    ("first-delivered", {"grant": f"g{demand}", "empty": False}),
                ]
    return rate(fold(chain(steps)), START)


@settings(max_examples=150, deadline=None)
@given(st.lists(asked, min_size=1, max_size=6), st.integers(2, 4), st.integers(0, 5))
def test_no_split_moves_the_rate_by_need_or_by_field(
    demands: list[tuple[str, str, int, bool, bool]], parts: int, which: int
) -> None:
    whole, split = ledger_of(demands, 1, which), ledger_of(demands, parts, which)
    assert (split.by_need, split.by_field) == (whole.by_need, whole.by_field)
    assert split.counted >= whole.counted

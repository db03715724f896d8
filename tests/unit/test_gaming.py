"""What does not raise the strict rate, whoever tries; and what does, with the figure that shows it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro.lock import SchemaRepository
from exchange.broker.commands import ConsentDemand, RefuseDemand, SubmitDemand, WithdrawDemand
from exchange.broker.commands_amend import AmendGrant, SwitchShare
from exchange.broker.commands_grants import ActivateGrant, BreakFreshness, MarkFirstDelivered
from exchange.broker.commands_shares import PlaceGrant
from exchange.broker.departments import ApplyCatalogue
from exchange.broker.evidence_judge import Agreed, Sight, judge
from exchange.broker.figures import read_figures
from exchange.broker.periods import Period
from exchange.broker.satisfaction import Rate, rate
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger.command import Command
from exchange.ledger.fold import fold
from exchange.ledger.state import Condition
from exchange.names import DemandId, Department, GrantId
from exchange.settings import Settings
from exchange.testing.ledger import START, MemoryLedger, chain

TAX, POLICE = Department("taxation"), Department("public-security")
PERSON = "101001/0001"
FIELDS = ("resident_id", "name", "sex", "birth_date")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "batch-exchange"}


class Province:
    """Demands of the tax office for the register of residents."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.do(ApplyCatalogue.of(load(Settings().catalogue)))

    def do(self, command: Command) -> str:
        return self.ledger.execute(command).entities[0]

    def demand(self, *fields: str, by: Department = TAX, **more: Any) -> str:
        asked = {"resource": PERSON, "fields": fields or FIELDS, **STATED, **more}
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


# splitting: what the rate of demands cannot prevent, the rate of needs shows


def test_splitting_a_served_demand_raises_the_strict_rate_but_not_that_of_needs(province: Province) -> None:
    """The definition counts demands. Whoever splits is seen: the rate by need, in API and report, does not move."""
    province.demand(by=Department("justice"))
    whole = province.served(province.demand())
    before = province.rate
    assert (before.strict, before.by_need, before.by_field) == (0.5, 0.5, 0.5)
    assert province.ledger.state.grants[whole].active

    split = Province()
    split.demand(by=Department("justice"))
    for name in FIELDS[1:]:
        split.served(split.demand("resident_id", name))
    after = split.rate
    assert after.strict == 3 / 4
    assert after.by_need == before.by_need == 0.5


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

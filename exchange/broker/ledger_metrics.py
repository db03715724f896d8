"""What the ledger says of demands, grants and duties, set as metrics."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from exchange.broker.corrections.commands import correction_clock
from exchange.broker.demands.automatic import NOTICE_DAYS, end_of
from exchange.broker.demands.clocks import COMPETENT, REVIEW, clocks
from exchange.broker.demands.state import demand_state
from exchange.broker.departments import tokens
from exchange.broker.departments.succession import awaited
from exchange.broker.grants.freshness import CAUSES
from exchange.broker.grants.use import must_dispose
from exchange.broker.rate import satisfaction
from exchange.ledger.state.ledger_state import DemandState, LedgerState
from exchange.observe import metrics


def publish_demands(state: LedgerState, now: datetime) -> None:
    """Set the metrics of demands, clocks and the satisfaction rate. A ratio that does not exist has no sample."""
    counted = list(satisfaction.judged(state, now))
    total = satisfaction.Rate.of(counted)
    variants = {("strict",): total.strict, ("weighted",): total.weighted}
    metrics.SATISFACTION.replace({labels: ratio for labels, ratio in variants.items() if ratio is not None})
    metrics.DEMANDS_COUNTED.set(total.counted)
    metrics.DEMANDS_SATISFIED.set(total.satisfied_strictly)
    metrics.REGISTRY_SATISFACTION.replace(_strict(counted, "registry"))
    metrics.DEPARTMENT_SATISFACTION.replace(
        {
            (department, side): ratio
            for side in ("demander", "provider")
            for (department,), ratio in _strict(counted, side).items()
            if department != satisfaction.NOBODY
        }
    )
    states = Counter(demand_state(state, demand, now).value for demand in state.demands.values())
    metrics.DEMANDS.replace({(one.value,): float(states[one.value]) for one in DemandState})
    metrics.DEMANDS_OVERDUE.replace(_overdue(state, now))
    waiting = awaited(state, now)
    metrics.DEMANDS_AWAITING_HEIR.replace({(department,): float(len(some)) for department, some in waiting.items()})
    broken = Counter(cause for grant in state.grants.values() if grant.active for cause in grant.breaches)
    metrics.GRANTS_IN_BREACH.replace({(cause,): float(broken[cause]) for cause in CAUSES})
    metrics.GRANTS_EXPIRING.replace(_expiring(state, now))
    metrics.DISPOSALS_OPEN.replace(_disposals(state))
    ending = Counter((token.department or token.role,) for token in tokens.ending(state, now))
    metrics.TOKENS_ENDING.replace({holder: float(count) for holder, count in ending.items()})


def _strict(counted: Iterable[satisfaction.Judged], by: str) -> dict[tuple[str, ...], float]:
    groups = satisfaction.grouped(counted, satisfaction.BY[by])
    return {(name,): rate.strict for name, rate in groups.items() if rate.strict is not None}


def _overdue(state: LedgerState, now: datetime) -> dict[tuple[str, ...], float]:
    """Duties that are past their day and not met, of providers and of the competent department."""
    late: Counter[tuple[str, ...]] = Counter()
    for demand in state.demands.values():
        for name, clock in clocks(state, demand, now).running:
            if clock.late:
                late[(name, COMPETENT if name == REVIEW else demand.provider or "")] += 1
    for correction in state.corrections.values():
        if correction_clock(correction, now).late:
            late[("correction", correction.provider)] += 1
    return {labels: float(count) for labels, count in late.items()}


def _expiring(state: LedgerState, now: datetime) -> dict[tuple[str, ...], float]:
    """Running grants by grantee and by the narrowest notice that their end has come within."""
    found: Counter[tuple[str, ...]] = Counter()
    for grant in state.running.values():
        end = end_of(state, grant)
        within = [] if end is None else [days for days in NOTICE_DAYS if end - now <= timedelta(days=days)]
        if within:
            found[(state.demands[grant.demand].demander, str(within[-1]))] += 1
    return {labels: float(count) for labels, count in found.items()}


def _disposals(state: LedgerState) -> dict[tuple[str, ...], float]:
    """Ended grants of which the grantee has not confirmed the disposal, by grantee."""
    found: Counter[tuple[str, ...]] = Counter()
    for grant in state.grants.values():
        if must_dispose(grant):
            found[(state.demands[grant.demand].demander,)] += 1
    return {labels: float(count) for labels, count in found.items()}

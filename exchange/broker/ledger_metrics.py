"""What the ledger says of demands, grants and duties, set as metrics."""

from collections import Counter
from datetime import datetime
from fractions import Fraction
from typing import Final

from exchange.broker import tally
from exchange.broker.departments import tokens
from exchange.broker.departments.succession import undecided
from exchange.broker.grants.freshness import CAUSES
from exchange.broker.rate.satisfaction import NOBODY, ratio
from exchange.broker.tally import Read, Tally
from exchange.ledger.state.ledger_state import DemandState, LedgerState
from exchange.observe import metrics

_SIDES: Final = ("demander", "provider")


class LedgerMetrics:
    """Keeps the metrics of demands, clocks and the satisfaction rate up to date. For one thread."""

    def __init__(self) -> None:
        self._tally = Tally()

    def refresh(self, read: Read, now: datetime) -> None:
        """Set them as of `now`. A ratio that does not exist has no sample."""
        self._tally.look(read, now)
        self._of_the_rate()
        self._of_states_and_duties()
        split, ending = read(lambda state: (_split(state, now), _ending(state, now)))
        held = _floats(self._tally.of(tally.HELD))
        metrics.DEMANDS_AWAITING_HEIR.replace({labels: held[labels] for labels in split if labels in held})
        metrics.TOKENS_ENDING.replace(ending)

    def _of_the_rate(self) -> None:
        counted, strict = self._tally.of(tally.COUNTED), self._tally.of(tally.STRICT)
        whole = (tally.ALL, "")
        weight = sum(
            (Fraction(part, int(asked)) for (asked,), part in self._tally.of(tally.WEIGHT).items()), Fraction()
        )
        variants = {
            ("strict",): ratio(strict.get(whole, 0), counted.get(whole, 0)),
            ("weighted",): ratio(weight, counted.get(whole, 0)),
        }
        metrics.SATISFACTION.replace({labels: value for labels, value in variants.items() if value is not None})
        metrics.DEMANDS_COUNTED.set(counted.get(whole, 0))
        metrics.DEMANDS_SATISFIED.set(strict.get(whole, 0))
        parts = {(by, name): strict.get((by, name), 0) / count for (by, name), count in counted.items()}
        metrics.REGISTRY_SATISFACTION.replace({(name,): part for (by, name), part in parts.items() if by == "registry"})
        metrics.DEPARTMENT_SATISFACTION.replace(
            {(name, by): part for (by, name), part in parts.items() if by in _SIDES and name != NOBODY}
        )

    def _of_states_and_duties(self) -> None:
        states, broken = self._tally.of(tally.STATE), self._tally.of(tally.BREACH)
        faulty = self._tally.of(tally.FAULTY)
        metrics.DEMANDS.replace({(one.value,): float(states.get((one.value,), 0)) for one in DemandState})
        metrics.DEMANDS_OVERDUE.replace(_floats(self._tally.of(tally.LATE)))
        metrics.GRANTS_IN_BREACH.replace({(cause,): float(broken.get((cause,), 0)) for cause in CAUSES})
        metrics.GRANTS_EXPIRING.replace(_floats(self._tally.of(tally.EXPIRING)))
        metrics.DISPOSALS_OPEN.replace(_floats(self._tally.of(tally.DISPOSAL)))
        kinds = (tally.DEMAND, tally.CORRECTION)
        metrics.FAULTY_ENTRIES.replace({(kind,): float(faulty.get((kind,), 0)) for kind in kinds})


def _floats(counts: dict[tally.Counted, int]) -> dict[tuple[str, ...], float]:
    return {labels: float(count) for labels, count in counts.items()}


def _split(state: LedgerState, now: datetime) -> list[tuple[str, ...]]:
    return [(entry.department,) for entry in undecided(state, now)]


def _ending(state: LedgerState, now: datetime) -> dict[tuple[str, ...], float]:
    holders = Counter((token.department or token.role,) for token in tokens.ending(state, now))
    return {holder: float(count) for holder, count in holders.items()}

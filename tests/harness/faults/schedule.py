"""Rounds of faults over a running flow, drawn from a seed; every one is told with seed, round, time and what it was.

A schedule of many rounds holds every kind of fault at least once; one of a few rounds kills a worker of each line and
the publisher. The order is drawn; the same seed gives the same faults, though not the same moments.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from tests.harness.faults.acts import Acts
from tests.harness.faults.harness import FaultHarness

FEW_ROUNDS = 5
"""Up to so many rounds there are kills at once only."""
_PATIENCE_SECONDS = 240.0
_NODE_EVERY = 4
_ONE_WAIT_SECONDS = 0.5
"""A fault may come so long after the last record before it."""


class FaultSchedule:
    """Faults one after the other while a publisher writes `size` versions; the late shares come in the middle."""

    def __init__(self, harness: FaultHarness, seed: int, rounds: int, size: int) -> None:
        self.seed, self.rounds, self.size = seed, rounds, size
        self.counts: Counter[str] = Counter()
        """Faults by their kind."""
        self.times: list[tuple[float, str]] = []
        """When, on the monotonic clock, each fault began, and its kind."""
        self._harness = harness
        self._random = random.Random(seed)
        self._acts = Acts(harness, self._random, self._tell)
        self._began = time.monotonic()
        self._round = 0

    def run(self) -> None:
        """Let it go over the flow."""
        for number, act in enumerate(self._deck(), 1):
            self._round = number
            self._await_flow()
            if number == (self.rounds + 1) // 2:
                self._tell("grant", "the late shares")
                self._harness.grant_late()
            act()

    def since(self, moment: float) -> float:
        """Seconds from the begin of the schedule to a moment of the monotonic clock."""
        return moment - self._began

    def _deck(self) -> list[Callable[[], None]]:
        acts = self._acts
        first: list[Callable[[], None]] = [
            lambda: acts.kill("admit"),
            lambda: acts.kill("deliver"),
            acts.kill_publisher,
        ]
        if self.rounds <= FEW_ROUNDS:
            return (first * self.rounds)[: self.rounds]
        nodes = [acts.kill_node] * (self.rounds // _NODE_EVERY) if self._harness.kafka.replication > 1 else []
        more = [*acts.of_workers(), *acts.of_kafka()]
        drawn = self._random.choices(acts.kills(), k=max(0, self.rounds - len(nodes) - len(first) - len(more)))
        rest = [*more, *drawn]
        self._random.shuffle(rest)
        deck = [*first, *rest]
        for turn, act in enumerate(nodes, 1):
            deck.insert(turn * _NODE_EVERY - 1, act)
        return deck[: self.rounds]

    def _await_flow(self) -> None:
        due = self.size * self._round // (self.rounds + 1)
        self._harness.workers.until(lambda: self._harness.published >= due, _PATIENCE_SECONDS, f"version {due}")
        self._harness.workers.pause(self._random.random() * 0.3)

    def _tell(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        now = time.monotonic()
        self.times.append((now, kind))
        at = f"{self.since(now):.1f}s"
        print(f"fault seed={self.seed} round={self._round}/{self.rounds} at={at} {what}", flush=True)


def waits_after(schedule: FaultSchedule, gaps: list[tuple[float, float]]) -> Mapping[str, str]:
    """The longest wait of a reader by the fault that was the last before it began: seconds, and from and to when.

    gaps: begin and end of each wait, on the monotonic clock.
    """
    longest: dict[str, tuple[float, float]] = {}
    for begin, end in gaps:
        before = [kind for at, kind in schedule.times if at < begin + _ONE_WAIT_SECONDS]
        kind = before[-1] if before else "nothing"
        longest[kind] = max(longest.get(kind, (0.0, 0.0)), (begin, end), key=lambda gap: gap[1] - gap[0])
    ordered = sorted(longest.items(), key=lambda item: item[1][0] - item[1][1])
    return {
        kind: f"{end - begin:.1f} ({schedule.since(begin):.0f}-{schedule.since(end):.0f})"
        for kind, (begin, end) in ordered
    }

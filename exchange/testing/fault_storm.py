"""Rounds of faults over a running flow, drawn from a seed; every one is told with seed, round, time and what it was."""

import random
import threading
import time
from collections.abc import Callable

from exchange.names import registry_topic
from exchange.testing.fault_ground import SHARES, FaultGround
from exchange.testing.fault_plan import COMPANIES, DEATHS

FROZEN_SECONDS = 8.5
"""Beyond the session of a worker, which is 6 s: its place in the group is given away meanwhile."""
_PATIENCE_SECONDS = 180.0
_WORKERS = ("admit-1", "admit-2", "deliver-1", "deliver-2")
_NODE_EVERY = 4

Offsets = dict[tuple[str, int], int]


class Storm:
    """Faults one after the other while a publisher writes `size` versions; the late shares come in the middle."""

    def __init__(self, ground: FaultGround, seed: int, rounds: int, size: int) -> None:
        self.seed, self.rounds, self.size = seed, rounds, size
        self.granted_at: Offsets = {}
        """Where the registries ended when the late shares were granted."""
        self.counts: dict[str, int] = {}
        """Faults by their kind."""
        self._ground = ground
        self._random = random.Random(seed)  # noqa: S311 - the same storm for the same seed
        self._began = time.monotonic()
        self._round = 0

    def run(self, freezes: bool = True) -> None:
        """Let it go over the flow. With `freezes`, workers are also frozen beyond their session and woken."""
        drawn: list[Callable[[], None]] = [self._kill_worker, self._kill_worker_for_a_while, self._kill_publisher]
        drawn += [self._kill_worker] * 2 + [self._kill_two] + ([self._freeze] if freezes else [])
        first = [self._kill("admit-1"), self._kill("deliver-1"), self._kill_publisher]
        nodes = len(self._ground.kafka.nodes)
        for number in range(1, self.rounds + 1):
            self._round = number
            self._await_flow()
            if self._round == (self.rounds + 1) // 2:
                self.grant_late()
            if self._round <= len(first):
                first[self._round - 1]()
            elif nodes > 1 and self._round % _NODE_EVERY == 0:
                self._kill_node(self._random.randint(1, nodes))
            else:
                self._random.choice(drawn)()

    def grant_late(self) -> None:
        """Grant the shares that are started in the middle."""
        for record_type in (COMPANIES, DEATHS):
            self.granted_at |= self._ground.ends(registry_topic(record_type))
        self._tell("grant", "the late shares")
        self._ground.grant(*(one for one in SHARES if one.late))

    def _await_flow(self) -> None:
        due = self.size * self._round // (self.rounds + 1)
        self._ground.workers.until(lambda: self._ground.published >= due, _PATIENCE_SECONDS, f"version {due}")
        threading.Event().wait(self._random.random() * 0.3)

    def _kill(self, name: str, again_in: float = 0.0) -> Callable[[], None]:
        def kill() -> None:
            self._tell("kill", f"kill -9 {name}, again in {again_in:.1f} s")
            self._ground.workers.kill(name, again_in)

        return kill

    def _kill_worker(self) -> None:
        self._kill(self._random.choice(_WORKERS))()

    def _kill_worker_for_a_while(self) -> None:
        self._kill(self._random.choice(_WORKERS), self._random.uniform(1, 4))()

    def _kill_two(self) -> None:
        for name in self._random.sample(_WORKERS, 2):
            self._kill(name, self._random.choice((0.0, self._random.uniform(1, 4))))()

    def _kill_publisher(self) -> None:
        self._kill("publisher", self._random.uniform(0, 1))()

    def _freeze(self) -> None:
        name = self._random.choice(_WORKERS)
        self._tell("freeze", f"SIGSTOP {name} for {FROZEN_SECONDS} s")
        self._ground.workers.freeze(name)
        threading.Event().wait(FROZEN_SECONDS)
        self._ground.workers.wake(name)

    def _kill_node(self, number: int) -> None:
        away = self._random.uniform(2, 5)
        self._tell("node", f"kill -9 Kafka node {number}, again in {away:.1f} s")
        self._ground.kafka.kill_node(number)
        threading.Event().wait(away)
        self._ground.kafka.start_node(number)
        self._tell("node-back", f"Kafka node {number} has caught up")

    def _tell(self, kind: str, what: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        at = time.monotonic() - self._began
        print(f"fault seed={self.seed} round={self._round}/{self.rounds} at={at:.1f}s {what}", flush=True)  # noqa: T201

"""What fault injection can do to workers, publisher and Kafka. Every act tells what it does before it does it."""

import os
import random
import signal
from collections.abc import Callable

from tests.harness.faults.harness import WORKERS, FaultHarness

FROZEN_SECONDS = 8.5
"""Beyond the session of a worker, which is 6 s: its place in the group is given away meanwhile."""
AWAY_SECONDS = 9.0
"""As above: a worker that stays away is missed by its group."""
UNREACHABLE_SECONDS = 30.0
FROZEN_NODE_SECONDS = 15.0
"""Beyond the session of a node with the controllers, which is 9 s."""
_TWIN_SECONDS = 4.0
_RESTARTED_SECONDS = (0.3, 1.5)
"""From a kill to the next kill of the same worker: it is just starting, or restoring its state."""
_REBALANCES = 4

Act = Callable[[], None]
Tell = Callable[[str, str], None]
"""Kind of a fault, and what is done."""


class Acts:
    """The faults. What is drawn comes from the random numbers given."""

    def __init__(self, harness: FaultHarness, drawn: random.Random, tell: Tell) -> None:
        self._harness, self._random, self._tell = harness, drawn, tell
        self._newcomers = 0

    def of_workers(self) -> list[Act]:
        """Every kind of fault of workers, each once, for each line where that makes a difference."""
        lines = ("admit", "deliver")
        each: list[Act] = [self.kill_two]
        for line in lines:
            each += [
                lambda line=line: self.freeze(line),  # type: ignore[misc]
                lambda line=line: self.twin(line),  # type: ignore[misc]
                lambda line=line: self.stay_away(line),  # type: ignore[misc]
                lambda line=line: self.kill_again(line),  # type: ignore[misc]
                lambda line=line: self.rebalances(line),  # type: ignore[misc]
            ]
        return each

    def of_kafka(self) -> list[Act]:
        """Every kind of fault of Kafka but the kill of one node among three."""
        if self._harness.kafka.replication > 1:
            return [self.freeze_kafka, self.freeze_node]
        return [self.freeze_kafka, self.kill_kafka]

    def kills(self) -> list[Act]:
        """What fills the rest of a schedule."""
        return [
            lambda: self.kill("admit"),
            lambda: self.kill("deliver"),
            lambda: self.kill("admit", self._random.uniform(1, 4)),
            lambda: self.kill("deliver", self._random.uniform(1, 4)),
            self.kill_publisher,
            self.kill_two,
        ]

    # workers

    def kill(self, line: str, again_in: float = 0.0) -> None:
        """Kill one of a line's workers."""
        self._kill(self._one_of(line), again_in, "for a while" if again_in else "")

    def kill_two(self) -> None:
        """Kill two workers of the four at once."""
        for name in self._random.sample(_ALL, 2):
            self._kill(name, self._random.choice((0.0, self._random.uniform(1, 4))), "two at once")

    def kill_publisher(self) -> None:
        """Kill the publisher, which forgets what has arrived since it last noted it."""
        self._kill("publisher", self._random.uniform(0, 1))

    def kill_again(self, line: str) -> None:
        """Kill a worker, and again while it restores its state."""
        name = self._one_of(line)
        self._kill(name, 0.0, "again and again")
        for _ in range(2):
            self._harness.workers.pause(self._random.uniform(*_RESTARTED_SECONDS))
            self._kill(name, 0.0, "again and again")

    def stay_away(self, line: str) -> None:
        """Kill a worker that stays away beyond its session."""
        self._kill(self._one_of(line), AWAY_SECONDS, "stays away")
        self._harness.workers.pause(AWAY_SECONDS)

    def freeze(self, line: str) -> None:
        """Stop a worker where it stands, beyond its session, and wake it."""
        name = self._one_of(line)
        self._tell(f"freeze {line}", f"SIGSTOP {name} for {FROZEN_SECONDS} s")
        self._harness.workers.freeze(name)
        self._harness.workers.pause(FROZEN_SECONDS)
        self._harness.workers.wake(name)
        self._tell(f"wake {line}", f"SIGCONT {name}")

    def twin(self, line: str) -> None:
        """Start a second worker with the id of a running one; both go on for a while."""
        number = self._random.choice(WORKERS)
        self._tell(f"twin {line}", f"a twin of {line}-{number} for {_TWIN_SECONDS} s")
        twin = self._harness.start_worker(line, number, f"{line}-{number}-twin")
        self._harness.workers.pause(_TWIN_SECONDS)
        self._harness.workers.leave(twin, signal.SIGKILL)
        self._tell(f"twin {line} gone", f"kill -9 {twin}")

    def rebalances(self, line: str) -> None:
        """Workers come and go one after the other, some in order, some not."""
        for turn in range(_REBALANCES):
            self._newcomers += 1
            number = max(WORKERS) + self._newcomers
            self._tell(f"rebalance {line}", f"{line}-{number} joins, and leaves soon")
            name = self._harness.start_worker(line, number)
            self._harness.workers.pause(self._random.uniform(1.5, 3))
            self._harness.workers.leave(name, signal.SIGTERM if turn % 2 else signal.SIGKILL)

    # Kafka

    def freeze_kafka(self) -> None:
        """Nobody reaches Kafka for a while: all its nodes stand still."""
        self._tell("freeze kafka", f"SIGSTOP Kafka for {UNREACHABLE_SECONDS} s")
        self._stand_still(list(self._harness.kafka.pids.values()), UNREACHABLE_SECONDS)
        self._tell("wake kafka", "SIGCONT Kafka")

    def freeze_node(self) -> None:
        """One node of three stands still until the others have taken over, and wakes up as a zombie."""
        number, pid = self._random.choice(list(self._harness.kafka.pids.items()))
        self._tell("freeze node", f"SIGSTOP Kafka node {number} for {FROZEN_NODE_SECONDS} s")
        self._stand_still([pid], FROZEN_NODE_SECONDS)
        self._tell("wake node", f"SIGCONT Kafka node {number}")

    def kill_kafka(self) -> None:
        """The only node is killed and started again."""
        self._tell("kill kafka", "kill -9 Kafka, started again at once")
        self._harness.kafka.kill()
        self._harness.kafka.start()
        self._tell("kafka back", "Kafka answers")

    def kill_node(self) -> None:
        """One node of three is killed, and started again after a while."""
        number = self._random.choice([node.number for node in self._harness.kafka.nodes])
        away = self._random.uniform(2, 5)
        self._tell("kill node", f"kill -9 Kafka node {number}, again in {away:.1f} s")
        self._harness.kafka.kill_node(number)
        self._harness.workers.pause(away)
        self._harness.kafka.start_node(number)
        self._tell("node back", f"Kafka node {number} has caught up")

    def _stand_still(self, pids: list[int], seconds: float) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            self._harness.workers.pause(seconds)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _kill(self, name: str, again_in: float, why: str = "") -> None:
        kind = name.partition("-")[0]
        self._tell(f"kill {kind}{' ' + why if why else ''}", f"kill -9 {name}, again in {again_in:.1f} s")
        self._harness.workers.kill(name, again_in)

    def _one_of(self, line: str) -> str:
        return f"{line}-{self._random.choice(WORKERS)}"


_ALL = [f"{line}-{number}" for line in ("admit", "deliver") for number in WORKERS]

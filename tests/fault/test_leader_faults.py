"""Two `exchange serve` under load, the leader killed, frozen and doubled: the other takes over, nothing is lost."""

import hashlib
import itertools
import json
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.avro.lock import LEDGER_SUBJECT, SchemaRepository
from exchange.settings import KafkaSettings, Settings
from tests.harness.faults.brokers import BROKERS, Brokers, Caller, calling, two_brokers
from tests.harness.faults.history import Written, violations

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
CALLERS = 4
REPEATED = 10
"""First and last commands of each caller that are sent again at the end, to whoever leads then."""
SESSION_SECONDS = 6.0
AWAY_SECONDS = 12.0
FROZEN_SECONDS = 10.0
TWIN_SECONDS = 5.0
KAFKA_FROZEN_SECONDS = 15.0
LONGEST_SECONDS = 3 * SESSION_SECONDS
"""A machine with two cores under this load; the session alone takes 6 s."""
Report = Callable[[str], None]


class Trouble:
    """What can happen to a leader. Every act ends when commands are acknowledged again."""

    def __init__(self, brokers: Brokers, callers: list[Caller], report: Report) -> None:
        self._brokers, self._callers, self._report = brokers, callers, report
        self.waits: dict[str, float] = {}
        """Kind of trouble and the longest time from it to the first command acknowledged after it."""

    def kill(self, again_in: float) -> None:
        """Kill the leader."""
        leader = self._leader()
        self._report(f"kill -9 {leader}, again in {again_in} s")
        at = time.monotonic()
        self._brokers.workers.kill(leader, again_in)
        by = self._acknowledged_since(at, "killed, stays away" if again_in else "killed, started again at once")
        if again_in > SESSION_SECONDS:
            assert by != leader, "nobody has taken over"

    def freeze(self) -> None:
        """Stop the leader where it stands, beyond its session; woken, it must not act as leader."""
        leader = self._leader()
        self._report(f"SIGSTOP {leader} for {FROZEN_SECONDS} s")
        at = time.monotonic()
        self._brokers.workers.freeze(leader)
        by = self._acknowledged_since(at, "frozen")
        assert by != leader
        self._brokers.workers.pause(max(0.0, at + FROZEN_SECONDS - time.monotonic()))
        self._brokers.workers.wake(leader)
        self._report(f"SIGCONT {leader}")
        self._acknowledged_since(time.monotonic(), "woken")

    def twin(self) -> None:
        """Start a second process with the leader's id."""
        leader = self._leader()
        self._report(f"a twin of {leader} for {TWIN_SECONDS} s")
        self._brokers.start("twin", leader)
        self._brokers.workers.pause(TWIN_SECONDS)
        self._brokers.workers.leave("twin", signal.SIGKILL)
        self._acknowledged_since(time.monotonic(), "doubled")

    def freeze_kafka(self) -> None:
        """Nobody reaches Kafka for a while."""
        self._report(f"SIGSTOP Kafka for {KAFKA_FROZEN_SECONDS} s")
        pid = self._brokers.kafka.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        self._brokers.workers.pause(KAFKA_FROZEN_SECONDS)
        os.kill(pid, signal.SIGCONT)
        self._acknowledged_since(time.monotonic(), "Kafka frozen")

    def kill_kafka(self) -> None:
        """Kafka is killed and started again."""
        self._report("kill -9 Kafka, started again at once")
        self._brokers.kafka.kill()
        self._brokers.kafka.start()
        self._acknowledged_since(time.monotonic(), "Kafka killed")

    def _leader(self) -> str:
        self._brokers.workers.until(lambda: self._brokers.leader() is not None, 60, "a leader")
        leader = self._brokers.leader()
        return leader or self._leader()

    def _acknowledged_since(self, at: float, kind: str) -> str:
        """By whom the first command was taken since; it may have been under way for a moment before."""

        def first() -> tuple[float, str] | None:
            later = (one[:2] for caller in self._callers for one in caller.acknowledged[-50:] if one[0] > at + 0.2)
            return min(later, default=None)

        self._brokers.workers.until(lambda: first() is not None, 90, f"an acknowledged command ({kind})")
        found = first()
        assert found is not None
        self.waits[kind] = max(self.waits.get(kind, 0.0), found[0] - at)
        return found[1]


def test_no_acknowledged_command_is_lost_or_doubled_whatever_befalls_the_leader(
    tmp_path: Path, read_all: Callable[..., Iterator[Any]], decoder: Any, out: Any
) -> None:
    with out():
        load_and_trouble(tmp_path, read_all, decoder)


def load_and_trouble(folder: Path, read_all: Callable[..., Iterator[Any]], decoder: Any) -> None:
    """Callers at work while the leader is troubled; then the ledger is read and judged."""
    drawn = random.Random(SEED)
    began = time.monotonic()

    def report(what: str) -> None:
        print(f"fault seed={SEED} leader at={time.monotonic() - began:.1f}s {what}", flush=True)

    print(f"\nfault seed={SEED} two broker services, {CALLERS} callers", flush=True)
    with two_brokers(folder) as brokers, calling(brokers, CALLERS) as callers:
        trouble = Trouble(brokers, callers, report)
        acts: list[Callable[[], None]] = [
            *[lambda: trouble.kill(0.0)] * 2,
            *[lambda: trouble.kill(AWAY_SECONDS)] * 2,
            trouble.freeze,
            trouble.twin,
            trouble.freeze_kafka,
            trouble.kill_kafka,
        ]
        drawn.shuffle(acts)
        for act in acts:
            act()
            brokers.workers.pause(drawn.uniform(0.5, 2))
        for caller in callers:
            caller.close()
            caller.repeat(REPEATED)
        brokers.workers.until(lambda: len({brokers.head(name).get("hash") for name in BROKERS}) == 1, 60, "one head")
        head = brokers.head(BROKERS[0])
        events = list(ledger(brokers.kafka.admin_settings(), read_all, decoder))
        ends = brokers.workers.ended()
    acknowledged = [one for caller in callers for one in caller.acknowledged]
    waits = {kind: round(wait, 1) for kind, wait in trouble.waits.items()}
    print(
        f"  {len(acknowledged)} acknowledged commands, {len(events)} events; ended by themselves: {ends}\n"
        f"  longest from a trouble to the next acknowledged command: {waits}",
        flush=True,
    )

    assert not set().union(*(caller.refused for caller in callers))
    operations = [one for caller in callers for one in caller.history.operations.values()]
    commands = [Written(event["seq"], event["command_id"], event["entity"], "") for event in events]
    assert violations(operations, [one for one in commands if one.key is not None]) == []
    assert_whole(events)
    assert (head["seq"], head["hash"]) == (len(events), hash_of(events[-1]))
    assert max(trouble.waits["frozen"], trouble.waits["killed, stays away"]) < LONGEST_SECONDS


def ledger(settings: KafkaSettings, read_all: Callable[..., Iterator[Any]], decoder: Any) -> Iterator[dict[str, Any]]:
    """Every event that stands in the ledger, read and decoded without the product."""
    decode = decoder(SchemaRepository.load(Settings().schemas).latest(LEDGER_SUBJECT).schema)
    for record in read_all(settings, "exchange.ledger"):
        event = decode(record.value)
        yield event | {"data": json.loads(event["data"])}


def hash_of(event: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON, by the standard library: every text and number here is canonical in it too."""
    line = json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(line.encode()).hexdigest()


def assert_whole(events: list[dict[str, Any]]) -> None:
    """Every event continues the one before."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["prev_hash"] == "0" * 64
    for before, event in itertools.pairwise(events):
        assert event["prev_hash"] == hash_of(before), event["seq"]

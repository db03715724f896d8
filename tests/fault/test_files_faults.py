"""A sink with a drop folder, killed again and again: what was dropped and taken is what the share holds."""

import os
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exchange.clock import Deadline, SystemClock
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.names import grant_group
from exchange.settings import KafkaSettings
from exchange.signing import SigningKey
from tests.harness.kafka.sink import TOKEN, BrokerService, Desk
from tests.harness.memory.drop_folder import Grantee, Taker
from tests.harness.process_memory import memory_of

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
OWNER, CONNECTOR = "emergency-management", "emergency-management.companies-as-files"
KILLS = 8
COMPANIES = 900
VERSIONS = 120
"""Sent at once, again and again."""
MOST_BYTES = 110_000_000


@pytest.fixture
def desk(
    admin: Admin, admin_connection: Connection, kafka_settings_for: Callable[[str], KafkaSettings]
) -> Iterator[Desk]:
    with closing(BrokerService()) as service:
        desk = Desk(OWNER, kafka_settings_for(OWNER), "sqlite://", service, admin_connection)
        desk.open(admin)
        yield desk


def start_sink(desk: Desk, folder: Path, kafka: KafkaSettings, *more: str) -> ChildProcess:
    """The command itself, as the department's own process."""
    own = {
        "EXCHANGE_CONNECTOR__DROP_FOLDER": str(folder / "drop"),
        "EXCHANGE_CONNECTOR__SIGNING_KEY_FILE": str(folder / "key.pem"),
        "EXCHANGE_CONNECTOR__STATE_FOLDER": str(folder / "state"),
        "EXCHANGE_CONNECTOR__DELIVERY_SECONDS": "0",
    }
    environment = desk.environment(kafka, str(folder / "token")) | own
    child = ChildProcess(Command("sink", exchange_command("run", CONNECTOR, *more), folder / "sink.log", environment))
    child.start()
    return child


class Hand:
    """The grantee: takes whatever waits and is right, and keeps its table by that alone."""

    def __init__(self, taker: Taker) -> None:
        self.grantee = Grantee()
        self.meant: dict[tuple[str, int], str] = {}
        self._taker = taker

    def take(self) -> bool:
        if not self._taker.path.exists():
            return False
        for place, found in self._taker.hashes().items():
            assert self.meant.setdefault(place, found) == found, "a number stands for something else"
        taken = self._taker.take()
        if taken is not None:
            self.grantee.apply(self._taker, taken)
        return taken is not None


def test_a_drop_folder_sink_killed_again_and_again_drops_what_the_share_holds_and_no_number_twice(
    desk: Desk, admin: Admin, kafka_settings_for: Callable[[str], KafkaSettings], tmp_path: Path
) -> None:
    drawn = random.Random(SEED)
    print(f"fault seed={SEED}")
    kafka, key = kafka_settings_for(OWNER), SigningKey.make(tmp_path / "key.pem")
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "drop").mkdir()
    hand = Hand(Taker(tmp_path / "drop" / "companies", key.public, SystemClock()))
    held: dict[str, str] = {}
    most = sent = 0
    for attempt in range(KILLS):
        child = start_sink(desk, tmp_path, kafka)
        deadline, least = Deadline.after(drawn.uniform(2, 5)), len(hand.meant)
        while not deadline.passed or (attempt == 0 and not hand.meant):
            send(desk, held, drawn, sent)
            sent += 1
            hand.take()
            threading.Event().wait(0.05)
        most = max(most, memory_of(child.pid).most)
        child.kill()
        print(f"kill {attempt + 1}: {len(hand.meant) - least} deliveries more")
    done = False
    while not done:
        child = start_sink(desk, tmp_path, kafka, "--once")
        try:
            assert child.wait(Deadline.after(60)) == 0, child.log_tail()
        finally:
            child.kill()
        done = not hand.take()
    print(f"{sent * VERSIONS} versions in {len(hand.meant)} deliveries, at most {most / 1_000_000:.1f} MB")
    assert hand.grantee.table == held
    assert most < MOST_BYTES
    receipts = list(desk.receipts().values())
    assert sum(one.handed_over for one in receipts) == sent * VERSIONS
    committed = admin.committed(grant_group(desk.grant))
    assert committed == {(desk.topic, one.partition): one.next_offset for one in receipts if one.next_offset}
    assert b"version 1" not in (tmp_path / "sink.log").read_bytes()


def send(desk: Desk, held: dict[str, str], drawn: random.Random, turn: int) -> None:
    """Versions of some companies, and the end of some."""
    records: list[tuple[str, bytes | None]] = []
    for number in range(VERSIONS):
        code = f"C{drawn.randrange(COMPANIES):05d}"
        if drawn.random() < 0.1:
            records.append((code, None))
            held.pop(code, None)
        else:
            held[code] = f"version {turn}.{number}"
            records.append(desk.company(code, held[code]))
    desk.send(*records)

"""With the rights that the exchange gives itself: the broker's principal writes a snapshot, a line begins with it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import names
from exchange.broker import snapshots as keeping
from exchange.broker.preparation import LEDGER_KEY, LEDGER_PUBLIC_KEY
from exchange.broker.snapshots import SnapshotKeeper
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.connection import Connection
from exchange.ledger.snapshot.topic import Snapshots
from exchange.signing import PublicKey
from tests.harness.kafka.broker_service import Office

pytestmark = pytest.mark.kafka


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "office"


@pytest.fixture
def office(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    folder.mkdir()
    monkeypatch.setenv("EXCHANGE_LEDGER__PUBLIC_KEY_FILE", str(folder / LEDGER_PUBLIC_KEY))
    with EmbeddedKafka(tmp_path / "kafka").start() as kafka, Office(folder, kafka) as office:
        yield office


def environment(office: Office, folder: Path) -> dict[str, str]:
    """Of a process of the broker service."""
    kafka = office.settings.kafka
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_LEDGER")},
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": names.BROKER,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "EXCHANGE_LEDGER__KEY_FILE": str(folder / LEDGER_KEY),
    }


def told(folder: Path) -> list[str]:
    """The names of what the delivery line has logged."""
    lines = (folder / "deliver.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line).get("event", "") for line in lines if line.startswith("{")]


def test_the_leader_has_a_snapshot_made_and_a_line_begins_with_it(
    office: Office, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Snapshots(Connection.of(office.settings.kafka), PublicKey.read(folder / LEDGER_PUBLIC_KEY))
    seq = office.service.ledger.wait(0, 0)
    for name, value in environment(office, folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keeping, "EVERY_EVENTS", 10)

    SnapshotKeeper(own, threading.Event()).look(seq)

    ((_, manifest),) = own.manifests()
    assert manifest.seq >= seq
    (snapshot,) = own.newest()
    at_that_event = snapshot.state.resources.keys()
    assert at_that_event == office.service.ledger.read(lambda state: set(state.resources))
    office.stop_worker()
    office.start_worker()
    office.until(lambda: "ledger.snapshot-taken" in told(folder), "the line begins with the snapshot")


def test_without_the_key_the_command_says_so(office: Office, folder: Path) -> None:
    without = environment(office, folder)
    del without["EXCHANGE_LEDGER__KEY_FILE"]

    command = [sys.executable, "-m", "exchange", "ledger", "snapshot"]
    said = subprocess.run(command, env=without, capture_output=True, check=False, text=True)

    assert said.returncode == 2
    assert "EXCHANGE_LEDGER__KEY_FILE" in said.stderr

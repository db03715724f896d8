"""The embedded Kafka keeps its state through stop and kill, and leaves no process behind, whatever ends its parent."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exchange.clock import Deadline
from exchange.embedded.kafka import storage
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.ports import free_port
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection

pytestmark = pytest.mark.kafka

_PARENT = """
import sys, time
from pathlib import Path
from exchange.embedded.kafka.cluster import EmbeddedKafka
with EmbeddedKafka(Path(sys.argv[1])).start() as kafka:
    print(kafka.pid, flush=True)
    time.sleep(600)
"""


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _wait_gone(pid: int) -> None:
    deadline = Deadline.after(30)
    while not _gone(pid):
        assert not deadline.passed, "Kafka outlived its parent"
        time.sleep(0.05)


def _admin(kafka: EmbeddedKafka) -> Admin:
    return Admin(Connection.of(kafka.admin_settings()))


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "exchange", "kafka", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.fault  # two starts of a Kafka, of which the first one fails
def test_a_port_that_somebody_took_before_kafka_could_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        chosen = iter((taken, free_port()))
        monkeypatch.setattr(storage, "free_port", lambda others: next(chosen, None) or free_port(others))
        with EmbeddedKafka(tmp_path / "kafka").start() as kafka:
            assert not kafka.bootstrap_servers.endswith(f":{taken}")


def test_topics_and_secrets_survive_stop_and_kill_on_one_folder(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path / "卡夫卡 数据").start()
    address, secret = kafka.bootstrap_servers, kafka.admin_password_file.read_text()
    _admin(kafka).create_topics([NewTopicSpec("kept", 3, {})], 1)
    _admin(kafka).set_secret("tax", "geheim")
    kafka.stop()
    assert not kafka.running and kafka.pid is None
    kafka.start()
    with pytest.raises(ExchangeError, match="a Kafka runs already"):
        EmbeddedKafka(kafka.folder.root).start(Deadline.after(0.2))
    kafka.kill()
    assert not kafka.running
    kafka.start()
    assert (kafka.bootstrap_servers, kafka.admin_password_file.read_text()) == (address, secret)
    assert _admin(kafka).topics()["kept"] == 3
    assert _admin(kafka).principals() == {"admin", "tax"}
    kafka.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_when_the_parent_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        guard = psutil.Process(pid).ppid()
        parent.send_signal(number)
    _wait_gone(pid)
    _wait_gone(guard)
    assert not EmbeddedKafka(tmp_path).running


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path).start() as kafka:
        _admin(kafka).create_topics([NewTopicSpec("kept", 1, {})], 1)
        old = kafka.bootstrap_servers
    (node,) = json.loads(kafka.folder.ports_file.read_text())
    with (
        socket.create_server(("127.0.0.1", node["port"])),
        socket.create_server(("127.0.0.1", node["controller_port"])),
        EmbeddedKafka(tmp_path).start() as kafka,
    ):
        assert kafka.bootstrap_servers != old
        assert "kept" in _admin(kafka).topics()


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path, KafkaOptions(properties={"log.retention.check.interval.ms": "0"}))
    with pytest.raises(ExchangeError, match=r"E_EMBEDDED.*log.retention.check.interval.ms"):
        kafka.start()
    assert not kafka.running


def test_up_stays_in_the_background_until_down(tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path / "kafka"))
    assert _command("status", *folder).returncode == 1
    started = _command("up", "--json", *folder)
    assert started.returncode == 0, started.stderr
    facts = json.loads(started.stdout)
    again = json.loads(_command("up", "--json", *folder).stdout)
    assert facts["running"] and again["process"] == facts["process"]
    assert _command("status", *folder).returncode == 0
    kafka = EmbeddedKafka(tmp_path / "kafka")
    assert kafka.bootstrap_servers == facts["bootstrap_servers"]
    assert _admin(kafka).topics() == {}
    down = _command("down", *folder)
    assert down.returncode == 0 and "is stopped" in down.stdout
    assert _gone(facts["process"])
    assert _command("down", *folder).returncode == 0


def test_fetch_without_a_reachable_repository_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_MAVEN_URL", "http://127.0.0.1:1/maven")
    result = _command("fetch", "--cache", str(tmp_path))
    assert result.returncode == 3
    assert "E_JARS" in result.stderr and "EXCHANGE_MAVEN_URL" in result.stderr

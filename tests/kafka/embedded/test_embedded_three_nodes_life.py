"""Three nodes keep their state and their number through stop and kill, and leave no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection

pytestmark = [pytest.mark.kafka, pytest.mark.fault]

_PARENT = """
import json, sys, time
from pathlib import Path
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
with EmbeddedKafka(Path(sys.argv[1]), KafkaOptions(nodes=3)).start() as kafka:
    print(json.dumps(list(kafka.pids.values())), flush=True)
    time.sleep(600)
"""


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _admin(kafka: EmbeddedKafka) -> Admin:
    return Admin(Connection.of(kafka.admin_settings()))


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "exchange", "kafka", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_topics_secrets_and_addresses_survive_the_kill_of_all_nodes(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path / "卡夫卡 数据", KafkaOptions(nodes=3)).start()
    addresses = kafka.bootstrap_servers
    _admin(kafka).create_topics([NewTopicSpec("kept", 3, {})], 3)
    _admin(kafka).set_secret("tax", "geheim")
    with pytest.raises(ExchangeError, match="a Kafka runs already"):
        EmbeddedKafka(kafka.folder.root).start(Deadline.after(0.2))
    with pytest.raises(ExchangeError, match="a Kafka runs already"):
        kafka.start_node(2, Deadline.after(0.2))
    with pytest.raises(ExchangeError, match="has no node 4"):
        kafka.start_node(4)
    kafka.kill()
    assert not kafka.running and kafka.pids == {}
    with EmbeddedKafka(kafka.folder.root).start() as again:  # the folder knows how many they are
        assert again.bootstrap_servers == addresses
        assert _admin(again).topics()["kept"] == 3
        assert _admin(again).principals() == {"admin", "tax"}
        assert again.pids.keys() == {1, 2, 3}
    assert not again.running


def test_two_nodes_whose_ports_were_taken_meanwhile_find_the_third(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path, KafkaOptions(nodes=3)).start() as kafka:
        _admin(kafka).create_topics([NewTopicSpec("kept", 1, {})], 3)
    nodes = json.loads(kafka.folder.ports_file.read_text())
    for node in nodes[:2]:
        node["port"], node["controller_port"] = node["port"] + 1000, node["controller_port"] + 1000
    kafka.folder.ports_file.write_text(json.dumps(nodes))
    with kafka.start():
        assert "kept" in _admin(kafka).topics()
        assert kafka.replicas_behind().keys() == {1, 2, 3}


def test_no_process_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        guards = [psutil.Process(pid).ppid() for pid in pids]
        parent.send_signal(signal.SIGKILL)
    deadline = Deadline.after(30)
    assert len(pids) == 3
    while not all(map(_gone, pids + guards)):
        assert not deadline.passed, "a node outlived its parent"
        time.sleep(0.05)
    assert not EmbeddedKafka(tmp_path).running


def test_the_commands_tell_of_each_node_and_bring_back_a_killed_one(tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path / "kafka"))
    started = _command("up", "--nodes", "3", "--json", *folder)
    assert started.returncode == 0, started.stderr
    first = [node["process"] for node in json.loads(started.stdout)["nodes"]]
    other = _command("up", "--nodes", "1", *folder)
    assert other.returncode == 2
    assert "E_SETTINGS" in other.stderr and "of 3 nodes, not of 1" in " ".join(other.stderr.split())
    os.kill(first[1], signal.SIGKILL)
    status = _command("status", "--json", *folder)
    assert status.returncode == 1
    assert [node["serving"] for node in json.loads(status.stdout)["nodes"]] == [True, False, True]
    again = _command("up", "--json", *folder)
    assert again.returncode == 0, again.stderr
    assert _command("status", *folder).returncode == 0
    second = [node["process"] for node in json.loads(again.stdout)["nodes"]]
    assert (first[0], first[2]) == (second[0], second[2]) and first[1] != second[1]
    down = _command("down", *folder)
    assert down.returncode == 0 and "is stopped" in down.stdout
    assert all(map(_gone, second))

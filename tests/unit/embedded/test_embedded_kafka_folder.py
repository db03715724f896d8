"""The folder of an embedded Kafka remembers its nodes; their settings agree with each other."""

import json
import re
import socket
from pathlib import Path

import pytest

from exchange.embedded.kafka.properties import Node, Secrets, server_properties
from exchange.embedded.kafka.storage import KafkaFolder, choose_nodes, number_of_nodes
from exchange.errors import ExchangeError

_NODES = [Node(1, 20001, 20002), Node(2, 20003, 20004), Node(3, 20005, 20006)]


def _properties(node: Node, nodes: list[Node]) -> dict[str, str]:
    text = server_properties(node, nodes, Path("/data"), Secrets("one", "two"), {})
    return dict(line.split("=", 1) for line in text.splitlines())


def _formatted(tmp_path: Path, nodes: int) -> KafkaFolder:
    folder = KafkaFolder(tmp_path)
    folder.formatted_file.write_text(f"{nodes}\n")
    return folder


def test_three_nodes_keep_everything_three_times_and_acknowledge_when_two_have_it() -> None:
    for node in _NODES:
        properties = _properties(node, _NODES)
        assert properties["node.id"] == str(node.id)
        assert properties["controller.quorum.bootstrap.servers"] == "127.0.0.1:20002,127.0.0.1:20004,127.0.0.1:20006"
        replicas = [value for name, value in properties.items() if name.endswith("replication.factor")]
        in_sync = [value for name, value in properties.items() if re.search(r"min\.(isr|insync\.replicas)$", name)]
        assert replicas == ["3"] * 4 and in_sync == ["2"] * 3


def test_a_single_node_needs_nobody_else() -> None:
    properties = _properties(_NODES[0], _NODES[:1])
    assert {value for name, value in properties.items() if name.endswith("replication.factor")} == {"1"}
    assert properties["min.insync.replicas"] == properties["transaction.state.log.min.isr"] == "1"


@pytest.mark.parametrize(("wanted", "number"), [(None, 1), (1, 1), (3, 3)])
def test_a_fresh_folder_takes_the_number_that_is_wanted(tmp_path: Path, wanted: int | None, number: int) -> None:
    assert number_of_nodes(KafkaFolder(tmp_path), wanted) == number


def test_a_formatted_folder_keeps_its_number(tmp_path: Path) -> None:
    folder = _formatted(tmp_path, 3)
    assert number_of_nodes(folder, None) == number_of_nodes(folder, 3) == 3
    with pytest.raises(ExchangeError, match=r"E_SETTINGS.*of 3 nodes, not of 1"):
        number_of_nodes(folder, 1)


def test_free_ports_are_kept_and_taken_ones_replaced(tmp_path: Path) -> None:
    folder = KafkaFolder(tmp_path)
    first = choose_nodes(folder, 3)
    _formatted(tmp_path, 3)
    assert len({port for node in first for port in (node.port, node.controller_port)}) == 6
    assert choose_nodes(folder, 3) == first
    with socket.create_server(("127.0.0.1", first[1].controller_port)):
        second = choose_nodes(folder, 3)
    assert (second[0], second[2]) == (first[0], first[2])
    assert second[1].port == first[1].port and second[1].controller_port != first[1].controller_port


def test_nodes_that_could_not_find_each_other_are_not_started(tmp_path: Path) -> None:
    folder = KafkaFolder(tmp_path)
    nodes = choose_nodes(folder, 3)
    _formatted(tmp_path, 3)
    before = json.loads(folder.ports_file.read_text())
    servers = [socket.create_server(("127.0.0.1", node.controller_port)) for node in nodes]
    try:
        with pytest.raises(ExchangeError, match=r"E_EMBEDDED.*took the controller ports"):
            choose_nodes(folder, 3)
    finally:
        for server in servers:
            server.close()
    assert json.loads(folder.ports_file.read_text()) == before

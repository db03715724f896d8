"""The embedded Kafka lets nobody in without a secret, gives nobody a right, and listens on loopback only."""

import socket
import struct
from pathlib import Path

import psutil
import pytest

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.kafka.storage import kept_nodes
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection

pytestmark = pytest.mark.kafka


def test_the_super_user_is_let_in(kafka: EmbeddedKafka, admin: Admin) -> None:
    assert "admin" in admin.principals()
    assert kafka.running


def test_a_principal_without_rights_sees_and_does_nothing(admin: Admin, kafka_settings_for, unique: str) -> None:
    admin.create_topics([NewTopicSpec(unique, 1, {})], 1)
    stranger = Admin(Connection.of(kafka_settings_for(f"{unique}-stranger")))
    assert unique in admin.topics()
    assert stranger.topics() == {}
    for act in (
        lambda: stranger.create_topics([NewTopicSpec(f"{unique}-own", 1, {})], 1),
        lambda: stranger.delete_topics([unique]),
        lambda: stranger.grant([Acl(f"{unique}-stranger", "topic", unique, "read")]),
        lambda: stranger.set_secret("admin", "taken over"),
    ):
        with pytest.raises(ExchangeError, match="E_KAFKA_FORBIDDEN"):
            act()
    assert unique in admin.topics()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def _send(connection: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """One request of the Kafka protocol; the answer, empty when the broker closed the connection."""
    message = struct.pack(">hhih", api, version, 7, 4) + b"test" + body
    connection.sendall(struct.pack(">i", len(message)) + message)
    return _receive(connection)


def _text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def test_a_request_without_login_is_not_answered_on_any_listener(
    kafka: EmbeddedKafka, admin: Admin, unique: str
) -> None:
    topic = f"{unique}-anonymous"
    create = struct.pack(">i", 1) + _text(topic.encode()) + struct.pack(">ihiiib", 1, 1, 0, 0, 10_000, 0)
    (node,) = kept_nodes(kafka.folder)
    for port in (node.port, node.controller_port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            assert _send(connection, 19, 2, create) == b""  # CreateTopics
    assert topic not in admin.topics()


@pytest.mark.parametrize(("listener", "mechanism"), [("clients", b"PLAIN"), ("controller", b"SCRAM-SHA-512")])
def test_a_listener_offers_its_own_mechanism_only(kafka: EmbeddedKafka, listener: str, mechanism: bytes) -> None:
    (node,) = kept_nodes(kafka.folder)
    port = node.port if listener == "clients" else node.controller_port
    unsupported = struct.pack(">h", 33)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        assert _send(connection, 17, 1, _text(mechanism))[8:10] == unsupported  # SaslHandshake


def test_a_wrong_secret_of_the_super_user_is_refused_between_the_nodes_too(kafka: EmbeddedKafka) -> None:
    (node,) = kept_nodes(kafka.folder)
    with socket.create_connection(("127.0.0.1", node.controller_port), timeout=10) as connection:
        assert _send(connection, 17, 1, _text(b"PLAIN"))[8:10] == b"\0\0"
        login = b"\0admin\0wrong"
        answer = _send(connection, 36, 0, struct.pack(">i", len(login)) + login)  # SaslAuthenticate
        assert answer[8:10] == struct.pack(">h", 58)  # SASL_AUTHENTICATION_FAILED


def test_it_listens_on_loopback_only(kafka: EmbeddedKafka) -> None:
    (node,) = kept_nodes(kafka.folder)
    listening = [one.laddr for one in psutil.Process(kafka.pid).net_connections() if one.status == psutil.CONN_LISTEN]
    assert {one.port for one in listening} == {node.port, node.controller_port}
    assert {one.ip.removeprefix("::ffff:") for one in listening} == {"127.0.0.1"}


def test_secrets_are_private_and_on_no_command_line(kafka: EmbeddedKafka) -> None:
    (node,) = kept_nodes(kafka.folder)
    secrets = [
        file.read_text().strip()
        for file in (kafka.admin_password_file, kafka.folder.controller_password_file)
        if file.stat().st_mode & 0o077 == 0
    ]
    assert len(secrets) == 2
    assert kafka.folder.properties(node.id).stat().st_mode & 0o077 == 0
    process = psutil.Process(kafka.pid)
    shown = " ".join([*process.cmdline(), *process.parent().cmdline(), *process.environ().values()])
    assert not any(secret in shown or secret in kafka.log.read_text() for secret in secrets)
    assert not any(file.suffix == ".arguments" for file in kafka.folder.node(node.id).iterdir())


def test_everything_it_writes_lies_in_its_folder(kafka: EmbeddedKafka) -> None:
    root = str(kafka.folder.root)
    written = [one.path for one in psutil.Process(kafka.pid).open_files() if one.mode != "r"]
    assert written and all(path.startswith(root) for path in written)
    assert not Path(f"/tmp/hsperfdata_{psutil.Process(kafka.pid).username()}/{kafka.pid}").exists()

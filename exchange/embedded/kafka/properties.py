"""The settings of an embedded broker, as text for its `server.properties`. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exchange.embedded.ports import HOST
from exchange.names import ADMIN

CLIENTS = "CLIENTS"
CONTROLLER = "CONTROLLER"

# The values that were measured (kafka-experiments §12), for all numbers of nodes.
_MEASURED = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    "connections.max.reauth.ms": "300000",
    "offsets.retention.minutes": "525600",
    "transaction.max.timeout.ms": "60000",
    "transactional.id.expiration.ms": "2147483647",  # 24.8 days, the longest that Kafka takes
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.min.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "10000",
    "group.consumer.min.heartbeat.interval.ms": "2000",
    "group.consumer.heartbeat.interval.ms": "2000",
}
# What makes a broker small and quick on a machine that it shares with everything else.
_SMALL = {
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker comes back only when its old session is over, and only then others lead what it led: of three
    # nodes one was missed for 7 s by writers and readers, for 9 to 12 s when it led the quorum too.
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "3",
    "num.io.threads": "4",
    "background.threads": "4",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One node, broker and controller in one, and where it listens on loopback."""

    id: int
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True)
class Secrets:
    """The two secrets of the super user: as a client, and between the nodes. Never shown."""

    admin: str
    controller: str

    def __repr__(self) -> str:
        return "Secrets(…)"


def bootstrap_servers(nodes: Sequence[Node]) -> str:
    """The address that clients use."""
    return ",".join(f"{HOST}:{node.port}" for node in nodes)


def server_properties(node: Node, nodes: Sequence[Node], data: Path, secrets: Secrets, extra: Mapping[str, str]) -> str:
    """The text of `server.properties` of `node`; `extra` wins over our values."""
    properties = {
        **_MEASURED,
        **_SMALL,
        **_replication(len(nodes)),
        **_listeners(node, nodes),
        **_authentication(secrets),
        "log.dirs": str(data),
        **extra,
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _replication(nodes: int) -> dict[str, str]:
    """Three replicas, of which two must have a record; a single node can only be its own."""
    replicas = str(min(3, nodes))
    in_sync = str(max(1, min(3, nodes) - 1))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _listeners(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.bootstrap.servers": ",".join(f"{HOST}:{one.controller_port}" for one in nodes),
        "listeners": f"{CLIENTS}://{HOST}:{node.port},{CONTROLLER}://{HOST}:{node.controller_port}",
        "advertised.listeners": f"{CLIENTS}://{HOST}:{node.port}",
        "inter.broker.listener.name": CLIENTS,
        "controller.listener.names": CONTROLLER,
        "listener.security.protocol.map": f"{CLIENTS}:SASL_PLAINTEXT,{CONTROLLER}:SASL_PLAINTEXT",
    }


def _authentication(secrets: Secrets) -> dict[str, str]:
    """Nobody is anonymous on any listener. Between the nodes it is PLAIN, because SCRAM's secrets live in the metadata
    that this listener has to carry first."""
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    clients, controller = CLIENTS.lower(), CONTROLLER.lower()
    return {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        f"listener.name.{clients}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        f"listener.name.{clients}.scram-sha-512.sasl.jaas.config": (
            f'{scram} required username="{ADMIN}" password="{secrets.admin}";'
        ),
        f"listener.name.{controller}.sasl.enabled.mechanisms": "PLAIN",
        f"listener.name.{controller}.plain.sasl.jaas.config": (
            f'{plain} required username="{ADMIN}" password="{secrets.controller}" user_{ADMIN}="{secrets.controller}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN}",
    }


def _escaped(value: str) -> str:
    """A value as java.util.Properties reads it: Latin-1, everything else as \\uXXXX of UTF-16."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    points = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(point) if 0x20 <= point < 0x7F else f"\\u{point:04x}" for point in points)

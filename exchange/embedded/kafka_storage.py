"""The folder of an embedded Kafka: its layout, its secrets and ports, and the formatting of its log directory."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from exchange.embedded import java
from exchange.embedded.kafka_properties import Node, Secrets, server_properties
from exchange.embedded.ports import free_port, is_free
from exchange.embedded.state_folder import kept_secret, write_private
from exchange.errors import ExchangeError
from exchange.names import ADMIN

_FORMAT_SECONDS = 60
# The formatting tool lives for a second: compile little, collect nothing.
_SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m")


@dataclass(frozen=True, slots=True)
class KafkaFolder:
    """Where everything of one embedded Kafka lies."""

    root: Path

    @property
    def admin_password_file(self) -> Path:
        """The secret of the super user, readable by the owner only."""
        return self.root / "admin.secret"

    @property
    def controller_password_file(self) -> Path:
        """The secret between the nodes."""
        return self.root / "controller.secret"

    @property
    def ports_file(self) -> Path:
        """Which ports the nodes took."""
        return self.root / "ports.json"

    @property
    def temporary(self) -> Path:
        """What Java unpacks and leaves behind."""
        return self.root / "tmp"

    def node(self, node: Node) -> Path:
        """Everything of one node."""
        return self.root / f"node-{node.id}"

    def data(self, node: Node) -> Path:
        """The log directory of one node."""
        return self.node(node) / "data"

    def properties(self, node: Node) -> Path:
        """The settings of one node. They hold secrets."""
        return self.node(node) / "server.properties"

    def log(self, node: Node) -> Path:
        """What the broker writes while it runs."""
        return self.node(node) / "kafka.log"

    def secrets(self) -> Secrets:
        """The kept secrets, made at the first call."""
        return Secrets(kept_secret(self.admin_password_file), kept_secret(self.controller_password_file))


def kept_nodes(folder: KafkaFolder) -> tuple[Node, ...]:
    """The nodes with the ports they took the last time; none when nothing was ever started here."""
    try:
        return tuple(Node(**node) for node in json.loads(folder.ports_file.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return ()


def choose_nodes(folder: KafkaFolder, count: int) -> tuple[Node, ...]:
    """The nodes with the ports of the last time; a port that somebody else took since is replaced."""
    kept = {node.id: node for node in kept_nodes(folder)}
    taken: set[int] = set()
    nodes = []
    for number in range(1, count + 1):
        old = kept.get(number, Node(number, 0, 0))
        ports = [port if port and is_free(port) else 0 for port in (old.port, old.controller_port)]
        for at, port in enumerate(ports):
            ports[at] = port or free_port(frozenset(taken))
            taken.add(ports[at])
        nodes.append(Node(number, ports[0], ports[1]))
    write_private(folder.ports_file, json.dumps([asdict(node) for node in nodes]) + "\n")
    return tuple(nodes)


def write_properties(folder: KafkaFolder, nodes: Sequence[Node], extra: Mapping[str, str]) -> None:
    """Write `server.properties` of every node."""
    for node in nodes:
        folder.node(node).mkdir(parents=True, exist_ok=True)
        text = server_properties(node, nodes, folder.data(node), folder.secrets(), extra)
        write_private(folder.properties(node), text)


def format_storage(folder: KafkaFolder, node: Node, class_path: str) -> None:
    """Give a node its empty log directory with the super user's secret in it; a formatted one is left as it is.

    Raises ExchangeError(E_EMBEDDED) when Kafka's tool fails.
    """
    done = folder.node(node) / "formatted"
    if done.exists():
        return
    # Whatever an interrupted formatting left is worth nothing: no broker ever ran on it.
    shutil.rmtree(folder.data(node), ignore_errors=True)
    folder.temporary.mkdir(parents=True, exist_ok=True)
    arguments = folder.node(node) / "format.arguments"
    # The secret goes by a file, because a command line is readable for everybody on the machine.
    write_private(arguments, f"--add-scram\nSCRAM-SHA-512=[name={ADMIN},password={folder.secrets().admin}]\n")
    tool = ("kafka.tools.StorageTool", "format", "--cluster-id", _cluster_id(), "--standalone")
    main = (*tool, "--config", str(folder.properties(node)), f"@{arguments}")
    try:
        _run(java.command(class_path, folder.temporary, _SHORT_LIVED, main))
    finally:
        arguments.unlink(missing_ok=True)
    done.touch()


def _run(command: Sequence[str]) -> None:
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints the stored keys of the secret
            stderr=subprocess.PIPE,
            env={**os.environ, **java.ENVIRONMENT},
            timeout=_FORMAT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExchangeError("E_EMBEDDED", f"Kafka's storage tool did not end in {_FORMAT_SECONDS} s") from None
    if result.returncode:
        lines = result.stderr.decode("utf-8", "replace").splitlines()
        said = [line for line in lines if line and not line.startswith("\t")]  # not the stack
        raise ExchangeError("E_EMBEDDED", f"Kafka's storage tool ended with {result.returncode}: {' '.join(said)}")


def _cluster_id() -> str:
    """A random id as Kafka writes it: 16 bytes in URL-safe base64, not beginning with a dash."""
    while True:
        text = base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text

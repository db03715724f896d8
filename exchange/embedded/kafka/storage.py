"""The folder of an embedded Kafka: its layout, its secrets and ports, and the formatting of its log directories."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from exchange.embedded.kafka import java
from exchange.embedded.kafka.properties import Node, Secrets, server_properties
from exchange.embedded.ports import HOST, free_port, is_free
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
    def formatted_file(self) -> Path:
        """For how many nodes the folder was formatted. Not there before that is done."""
        return self.root / "nodes"

    @property
    def temporary(self) -> Path:
        """What Java unpacks and leaves behind."""
        return self.root / "tmp"

    def node(self, number: int) -> Path:
        """Everything of one node."""
        return self.root / f"node-{number}"

    def data(self, number: int) -> Path:
        """The log directory of one node."""
        return self.node(number) / "data"

    def properties(self, number: int) -> Path:
        """The settings of one node. They hold secrets."""
        return self.node(number) / "server.properties"

    def log(self, number: int) -> Path:
        """What the broker writes while it runs."""
        return self.node(number) / "kafka.log"

    def secrets(self) -> Secrets:
        """The kept secrets, made at the first call."""
        return Secrets(kept_secret(self.admin_password_file), kept_secret(self.controller_password_file))


def kept_nodes(folder: KafkaFolder) -> tuple[Node, ...]:
    """The nodes with the ports they took the last time; none when nothing was ever started here."""
    try:
        return tuple(Node(**node) for node in json.loads(folder.ports_file.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return ()


def number_of_nodes(folder: KafkaFolder, wanted: int | None) -> int:
    """How many nodes the folder was formatted for; a fresh one takes what is wanted, or one.

    Raises ExchangeError(E_SETTINGS) when that is not what is wanted: the number cannot be changed.
    """
    formatted = _formatted(folder)
    if formatted and wanted not in (None, formatted):
        raise ExchangeError(
            "E_SETTINGS",
            f"{folder.root} holds a Kafka of {formatted} {'node' if formatted == 1 else 'nodes'}, not of {wanted}; "
            "the number stays as it was made: leave the option out, or take another folder",
        )
    return formatted or wanted or 1


def choose_nodes(folder: KafkaFolder, count: int) -> tuple[Node, ...]:
    """The nodes with the ports of the last time; a port that somebody else took since is replaced.

    Raises ExchangeError(E_EMBEDDED) when no old controller port of several nodes is left: the nodes find each other by
    the old ports, as the quorum has written them down, until they have elected a leader.
    """
    kept = {node.id: node for node in kept_nodes(folder)}
    taken: set[int] = set()
    nodes = []
    for number in range(1, count + 1):
        old = kept.get(number)
        ports = []
        for kept_port in (None, None) if old is None else (old.port, old.controller_port):
            ports.append(kept_port if kept_port is not None and is_free(kept_port) else free_port(frozenset(taken)))
            taken.add(ports[-1])
        nodes.append(Node(number, *ports))
    kept_controllers = {one.controller_port for one in kept.values()}
    if count > 1 and _formatted(folder) and not kept_controllers & {node.controller_port for node in nodes}:
        raise ExchangeError("E_EMBEDDED", f"others took the controller ports of all nodes, see {folder.ports_file}")
    write_private(folder.ports_file, json.dumps([asdict(node) for node in nodes]) + "\n")
    return tuple(nodes)


def write_properties(folder: KafkaFolder, nodes: Sequence[Node], extra: Mapping[str, str]) -> None:
    """Write `server.properties` of every node."""
    for node in nodes:
        folder.node(node.id).mkdir(parents=True, exist_ok=True)
        text = server_properties(node, nodes, folder.data(node.id), folder.secrets(), extra)
        write_private(folder.properties(node.id), text)


def format_storage(folder: KafkaFolder, nodes: Sequence[Node], class_path: str) -> None:
    """Give the nodes their empty log directories with the super user's secret in them; formatted ones stay as they are.

    Raises ExchangeError(E_EMBEDDED) when Kafka's tool fails.
    """
    if _formatted(folder):
        return
    folder.temporary.mkdir(parents=True, exist_ok=True)
    tool = ("kafka.tools.StorageTool", "format", "--cluster-id", _random_id())
    # With several nodes each has to know from the start who else votes, by an id of its log directory too.
    voters = ",".join(f"{node.id}@{HOST}:{node.controller_port}:{_random_id()}" for node in nodes)
    quorum = ("--initial-controllers", voters) if len(nodes) > 1 else ("--standalone",)

    def format_one(node: Node) -> None:
        # Whatever an interrupted formatting left is worth nothing: no broker ever ran on it.
        shutil.rmtree(folder.data(node.id), ignore_errors=True)
        arguments = folder.node(node.id) / "format.arguments"
        # The secret goes by a file, because a command line is readable for everybody on the machine.
        write_private(arguments, f"--add-scram\nSCRAM-SHA-512=[name={ADMIN},password={folder.secrets().admin}]\n")
        main = (*tool, *quorum, "--config", str(folder.properties(node.id)), f"@{arguments}")
        try:
            _run(java.command(class_path, folder.temporary, _SHORT_LIVED, main))
        finally:
            arguments.unlink(missing_ok=True)

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(format_one, nodes))
    write_private(folder.formatted_file, f"{len(nodes)}\n")


def _formatted(folder: KafkaFolder) -> int | None:
    """For how many nodes the folder was formatted; None before that is done."""
    try:
        return int(folder.formatted_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


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


def _random_id() -> str:
    """A random id as Kafka writes it: 16 bytes in URL-safe base64, not beginning with a dash."""
    while True:
        text = base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text

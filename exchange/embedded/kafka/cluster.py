"""A real Apache Kafka on this machine: KRaft, SCRAM-SHA-512, rights denied by default, loopback only."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.clock import Deadline
from exchange.embedded.child import tail
from exchange.embedded.kafka import java
from exchange.embedded.kafka.jars import JarCache
from exchange.embedded.kafka.node import STOP_SECONDS, NodeProcess
from exchange.embedded.kafka.properties import Node, bootstrap_servers
from exchange.embedded.kafka.storage import (
    KafkaFolder,
    choose_nodes,
    format_storage,
    kept_nodes,
    number_of_nodes,
    write_properties,
)
from exchange.embedded.ports import answers
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.client.connection import Connection
from exchange.names import ADMIN
from exchange.settings import KafkaSettings

_START_SECONDS = 120.0
"""Far above the 8 s of three nodes on two free cores: for machines that are busy with something else."""
_PREDECESSOR_SECONDS = 3.0
"""How long a start waits for a broker whose parent was killed a moment ago."""
_ATTEMPTS = 3
_PORT_TAKEN = "Address already in use"
"""What a node's log ends with when somebody took its port after it was chosen: a start with other ports mends it."""
_LAST_LINES = 100
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 5.0
_HEAP_MEGABYTES = 512
_HEAP_MEGABYTES_OF_SEVERAL = 288
_QUICK_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Measured over 400,000 records on two cores: 2.8 to 4.1 µs of broker CPU a record and 270 MB; with Java's own choice
5.2 to 7.1 µs and 340 MB, because its second compiler is still at work when a demo or a test has ended."""
_QUIET = ("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error",)
"""Nodes that wait for others say so many times a second, and hide in their log what matters."""
_NOBODYS = Acl("nobody", "topic", "nothing", "read")
"""Taking away a right that nobody has changes nothing, but needs the login, the super user and the controller."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """What can be different from one embedded Kafka to another."""

    heap_megabytes: int | None = None
    """Java heap of each node; None: 512 for a single node, 288 for each of several."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Broker settings that win over ours."""
    jars: JarCache = field(default_factory=JarCache)
    nodes: int | None = None
    """1 or 3. None: as many as the folder was made with, one in a fresh folder."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node as it is now."""

    number: int
    address: str
    """Where clients reach it."""
    pid: int | None
    """None when it does not run."""
    log: Path
    """What it writes."""


class EmbeddedKafka:
    """One or three nodes, each broker and controller in one, in a folder. A second start on it finds the first's state.

    Three nodes hold everything three times, and a write is acknowledged when two have it: any one of them may be gone.
    With `detached` the nodes outlive this process; else they end with it, whatever ends it. Usable as a context.
    """

    def __init__(self, folder: Path, options: KafkaOptions | None = None) -> None:
        self.folder = KafkaFolder(folder.absolute())
        self._options = options or KafkaOptions()
        self._processes: dict[int, NodeProcess] = {}
        self._started = False

    # what others need to know

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for clients. Raises ExchangeError(E_EMBEDDED) when nothing was ever started in the folder."""
        return bootstrap_servers(self._kept_nodes())

    @property
    def replication(self) -> int:
        """How often every topic is to be kept: on each node. Raises as `bootstrap_servers` does."""
        return min(3, len(self._kept_nodes()))

    @property
    def admin_password_file(self) -> Path:
        """The file with the super user's secret, readable by the owner only."""
        return self.folder.admin_password_file

    @property
    def log(self) -> Path:
        """What the (first) node writes; `nodes` tells of each."""
        return self.folder.log(self._kept_nodes()[0].id)

    @property
    def running(self) -> bool:
        """Whether a node runs on the folder, started by whomever."""
        return any(process.running for process in self._all())

    @property
    def pid(self) -> int | None:
        """The process id of the first Java process that runs, or None when none runs."""
        return next(iter(self.pids.values()), None)

    @property
    def pids(self) -> dict[int, int]:
        """The process id of each node that runs, by the node's number (from 1)."""
        found = ((process.number, process.pid) for process in self._all())
        return {number: pid for number, pid in found if pid is not None}

    @property
    def nodes(self) -> list[NodeState]:
        """Every node of the folder. Raises ExchangeError(E_EMBEDDED) when nothing was ever started there."""
        return [
            NodeState(node.id, bootstrap_servers([node]), self._process(node.id).pid, self.folder.log(node.id))
            for node in self._kept_nodes()
        ]

    def replicas_behind(self, seconds: float = _LOOK_SECONDS) -> dict[int, int]:
        """The nodes that serve, each with the number of its replicas that have not caught up with their leaders.

        Raises ExchangeError(E_KAFKA_UNREACHABLE) when no node answers in time.
        """
        return Admin(Connection.of(self.admin_settings())).brokers(seconds)

    def settings(self, username: str, password_file: Path) -> KafkaSettings:
        """How a principal reaches this Kafka."""
        return KafkaSettings(
            bootstrap_servers=self.bootstrap_servers,
            security_protocol="SASL_PLAINTEXT",
            username=username,
            password_file=password_file,
            admin_password_file=self.admin_password_file,
            replication=self.replication,
        )

    def admin_settings(self) -> KafkaSettings:
        """How the super user reaches this Kafka."""
        return self.settings(ADMIN, self.admin_password_file)

    # its life

    def start(self, deadline: Deadline | None = None, *, detached: bool = False) -> Self:
        """Start it and return when all nodes serve and have answered an authenticated request of the super user.

        Jars that are missing are fetched first, for which the deadline does not count.
        Raises ExchangeError: E_JARS when they cannot be fetched; E_SETTINGS when the folder was made with another
        number of nodes; E_EMBEDDED when a node runs already on the folder, or when this Kafka does not answer in time:
        it is stopped then, and the message ends with the end of a log.
        """
        self._options.jars.fetch()
        deadline = deadline or Deadline.after(_START_SECONDS)
        count = number_of_nodes(self.folder, self._options.nodes)
        for attempt in range(1, _ATTEMPTS + 1):
            nodes = self._launch_all(count, deadline, detached)
            try:
                self._wait_ready(nodes, deadline)
            except BaseException:
                port_taken = any(_PORT_TAKEN in tail(self.folder.log(node.id), _LAST_LINES) for node in nodes)
                self.stop()
                if attempt == _ATTEMPTS or not port_taken or deadline.passed:
                    raise
            else:
                break
        return self

    def start_missing(self, deadline: Deadline | None = None, *, detached: bool = False) -> None:
        """Start every node that does not run: all of them, or those that were killed. Raises as `start` does."""
        deadline = deadline or Deadline.after(_START_SECONDS)
        if not self.running:
            self.start(deadline, detached=detached)
            return
        number_of_nodes(self.folder, self._options.nodes)
        for node in self.nodes:
            if node.pid is None:
                self.start_node(node.number, deadline, detached=detached)

    def stop(self, deadline: Deadline | None = None) -> None:
        """Stop what runs, gracefully at first. Does nothing when nothing runs.

        Raises ExchangeError(E_EMBEDDED) when a node cannot be stopped.
        """
        deadline = deadline or Deadline.after(STOP_SECONDS)
        processes = self._all()
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            if not process.wait_stopped(deadline):
                process.kill()
            process.let_go()
        self._started = False

    def kill(self) -> None:
        """End all nodes as a power cut would: no clean shutdown. For tests of recovery."""
        for process in self._all():
            process.kill()
        self._started = False

    def start_node(self, number: int, deadline: Deadline | None = None, *, detached: bool = False) -> None:
        """Start one node that does not run, on its data; return when it serves and has caught up with the others.

        Raises ExchangeError(E_EMBEDDED): when it runs already or is none of the folder's; when it is not ready in time
        (it is ended then), as it is when too few of the others run.
        """
        node = self._node(number)
        deadline = deadline or Deadline.after(_START_SECONDS)
        with ExitStack() as stack:
            lock = self._reserve(number, stack, deadline)
            self._launch(node, lock, detached)
        try:
            self._wait_ready([node], deadline)
        except BaseException:
            self._process(number).kill()
            raise

    def kill_node(self, number: int) -> None:
        """End one node as a power cut would. For tests of recovery."""
        self._process(self._node(number).id).kill()

    def __enter__(self) -> Self:
        return self if self._started else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # how

    def _kept_nodes(self) -> tuple[Node, ...]:
        nodes = kept_nodes(self.folder)
        if not nodes:
            raise ExchangeError("E_EMBEDDED", f"no Kafka was ever started in {self.folder.root}")
        return nodes

    def _node(self, number: int) -> Node:
        for node in self._kept_nodes():
            if node.id == number:
                return node
        raise ExchangeError("E_EMBEDDED", f"the Kafka on {self.folder.root} has no node {number}")

    def _process(self, number: int) -> NodeProcess:
        if number not in self._processes:
            self._processes[number] = NodeProcess(number, self.folder.node(number), self.folder.log(number))
        return self._processes[number]

    def _all(self) -> list[NodeProcess]:
        return [self._process(number) for number in range(1, number_of_nodes(self.folder, None) + 1)]

    def _reserve(self, number: int, stack: ExitStack, deadline: Deadline) -> int:
        process = self._process(number)
        patience = Deadline.after(min(_PREDECESSOR_SECONDS, deadline.remaining()))
        lock = stack.enter_context(process.reserved(patience))
        if lock is None:
            raise ExchangeError("E_EMBEDDED", f"a Kafka runs already on {self.folder.root} (process {process.pid})")
        return lock

    def _launch_all(self, count: int, deadline: Deadline, detached: bool) -> tuple[Node, ...]:
        with ExitStack() as stack:
            locks = {number: self._reserve(number, stack, deadline) for number in range(1, count + 1)}
            nodes = self._prepare(count)
            self._started = True
            for node in nodes:
                self._launch(node, locks[node.id], detached)
        return nodes

    def _prepare(self, count: int) -> tuple[Node, ...]:
        number_of_nodes(self.folder, count)  # somebody may have been faster
        nodes = choose_nodes(self.folder, count)
        write_properties(self.folder, nodes, self._options.properties)
        format_storage(self.folder, nodes, self._options.jars.class_path())
        return nodes

    def _launch(self, node: Node, lock: int, detached: bool) -> None:
        several = len(self._kept_nodes()) > 1
        heap = self._options.heap_megabytes or (_HEAP_MEGABYTES_OF_SEVERAL if several else _HEAP_MEGABYTES)
        options = (f"-Xms{heap}m", f"-Xmx{heap}m", *_QUICK_JAVA, *(_QUIET if several else ()))
        main = ("kafka.Kafka", str(self.folder.properties(node.id)))
        arguments = java.command(self._options.jars.class_path(), self.folder.temporary, options, main)
        self._process(node.id).launch(arguments, lock, detached)

    def _wait_ready(self, nodes: Sequence[Node], deadline: Deadline) -> None:
        waiting = list(nodes)
        admins: dict[int, Admin] = {}
        while waiting and not deadline.passed and all(self._process(node.id).running for node in nodes):
            for node in [one for one in waiting if answers(one.port)]:
                if node.id not in admins:
                    admins[node.id] = self._admin_of(node)
                if _serves(node, admins[node.id]):
                    waiting.remove(node)
            time.sleep(_POLL_SECONDS if waiting else 0)
        ended = [node for node in nodes if not self._process(node.id).running]
        if waiting or ended:
            what = "ended at once" if ended else "did not answer in time"
            log = self.folder.log((ended or waiting)[0].id)
            raise ExchangeError("E_EMBEDDED", f"Kafka {what}; its log {log} ends with:\n{tail(log)}")

    def _admin_of(self, node: Node) -> Admin:
        """An administrative client that turns to this node first."""
        settings = self.admin_settings().model_copy(update={"bootstrap_servers": bootstrap_servers([node])})
        return Admin(Connection.of(settings))


def _serves(node: Node, admin: Admin) -> bool:
    """Whether a node is a broker that has caught up, and the controller takes a request of the super user from it."""
    try:
        if admin.brokers(_LOOK_SECONDS).get(node.id) != 0:
            return False
        admin.revoke([_NOBODYS])
    except ExchangeError:
        return False  # it listens a moment before it answers
    return True

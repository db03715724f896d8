"""A real Apache Kafka on this machine: KRaft, SCRAM-SHA-512, rights denied by default, loopback only."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.clock import Deadline
from exchange.embedded import java
from exchange.embedded.child import ChildProcess, Command, tail
from exchange.embedded.jars import JarCache
from exchange.embedded.kafka_properties import Node, bootstrap_servers
from exchange.embedded.kafka_storage import KafkaFolder, choose_nodes, format_storage, kept_nodes, write_properties
from exchange.embedded.ports import answers
from exchange.embedded.state_folder import RunningLock
from exchange.errors import ExchangeError
from exchange.kafka.admin import Acl, Admin
from exchange.kafka.connection import Connection
from exchange.names import ADMIN
from exchange.settings import KafkaSettings

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_PREDECESSOR_SECONDS = 3.0
"""How long a start waits for a broker whose parent was killed a moment ago."""
_POLL_SECONDS = 0.05
_QUICK_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Measured over 400,000 records on two cores: 2.8 to 4.1 µs of broker CPU a record and 270 MB; with Java's own choice
5.2 to 7.1 µs and 340 MB, because its second compiler is still at work when a demo or a test has ended."""
_NOBODYS = Acl("nobody", "topic", "nothing", "read")
"""Taking away a right that nobody has changes nothing, but needs the login, the super user and the controller."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """What can be different from one embedded Kafka to another."""

    heap_megabytes: int = 512
    properties: Mapping[str, str] = field(default_factory=dict)
    """Broker settings that win over ours."""
    jars: JarCache = field(default_factory=JarCache)


class EmbeddedKafka:
    """One node, broker and controller in one, in a folder. A second start on the folder finds the first one's state.

    With `detached` the broker outlives this process; else it ends with it, whatever ends it. Usable as a context.
    """

    def __init__(self, folder: Path, options: KafkaOptions | None = None) -> None:
        self.folder = KafkaFolder(folder.absolute())
        self._options = options or KafkaOptions()
        self._lock = RunningLock(self.folder.root)
        self._child: ChildProcess | None = None

    # what others need to know

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients. Raises ExchangeError(E_EMBEDDED) when nothing was ever started in the folder."""
        return bootstrap_servers(self._kept_nodes())

    @property
    def admin_password_file(self) -> Path:
        """The file with the super user's secret, readable by the owner only."""
        return self.folder.admin_password_file

    @property
    def log(self) -> Path:
        """What the broker writes."""
        return self.folder.log(self._kept_nodes()[0])

    @property
    def running(self) -> bool:
        """Whether a broker runs on the folder, started by whomever."""
        return self._lock.held

    @property
    def pid(self) -> int | None:
        """The process id of the Java process, or None when none runs."""
        return self._lock.pid

    def settings(self, username: str, password_file: Path) -> KafkaSettings:
        """How a principal reaches this Kafka."""
        return KafkaSettings(
            bootstrap_servers=self.bootstrap_servers,
            security_protocol="SASL_PLAINTEXT",
            username=username,
            password_file=password_file,
            admin_password_file=self.admin_password_file,
            replication=min(3, len(self._kept_nodes())),
        )

    def admin_settings(self) -> KafkaSettings:
        """How the super user reaches this Kafka."""
        return self.settings(ADMIN, self.admin_password_file)

    # its life

    def start(self, deadline: Deadline | None = None, *, detached: bool = False) -> Self:
        """Start it and return when it has answered an authenticated request of the super user.

        Jars that are missing are fetched first, for which the deadline does not count.
        Raises ExchangeError: E_JARS when they cannot be fetched; E_EMBEDDED when a broker runs already on the folder,
        or when this one does not answer in time: it is stopped then, and the message ends with the end of its log.
        """
        self._options.jars.fetch()
        deadline = deadline or Deadline.after(_START_SECONDS)
        with self._lock.taken(Deadline.after(min(_PREDECESSOR_SECONDS, deadline.remaining()))) as lock:
            if lock is None:
                raise ExchangeError("E_EMBEDDED", f"a Kafka runs already on {self.folder.root} (process {self.pid})")
            node = self._prepare()
            self._launch(node, lock, detached)
        try:
            self._wait_ready(node, deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, deadline: Deadline | None = None) -> None:
        """Stop it, gracefully at first. Does nothing when none runs.

        Raises ExchangeError(E_EMBEDDED) when it is still there at the deadline.
        """
        if self._child is not None:
            self._child.stop()
            self._child = None
        deadline = deadline or Deadline.after(_STOP_SECONDS)
        self._signal(signal.SIGTERM)
        if not self._lock.wait_released(deadline):
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would: no clean shutdown. For tests of recovery."""
        self._signal(signal.SIGKILL)
        if self._child is not None:
            self._child.stop()
            self._child = None
        if not self._lock.wait_released(Deadline.after(_STOP_SECONDS)):
            raise ExchangeError("E_EMBEDDED", f"Kafka on {self.folder.root} (process {self.pid}) cannot be stopped")

    def __enter__(self) -> Self:
        return self if self._child is not None else self.start()

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

    def _prepare(self) -> Node:
        nodes = choose_nodes(self.folder, 1)
        write_properties(self.folder, nodes, self._options.properties)
        for node in nodes:
            format_storage(self.folder, node, self._options.jars.class_path())
        return nodes[0]

    def _launch(self, node: Node, lock: int, detached: bool) -> None:
        heap = self._options.heap_megabytes
        options = (f"-Xms{heap}m", f"-Xmx{heap}m", *_QUICK_JAVA)
        main = ("kafka.Kafka", str(self.folder.properties(node)))
        arguments = java.command(self._options.jars.class_path(), self.folder.temporary, options, main)
        if detached:
            pid = _start_detached(arguments, self.folder.log(node), lock)
        else:
            command = Command(
                "kafka", arguments, self.folder.log(node), java.ENVIRONMENT, grace=_STOP_SECONDS, keep_open=(lock,)
            )
            self._child = ChildProcess(command)
            self._child.start()
            pid = self._child.pid
        self._lock.write_pid(pid)

    def _wait_ready(self, node: Node, deadline: Deadline) -> None:
        admin: Admin | None = None
        while not deadline.passed and self._lock.held:
            if answers(node.port):
                admin = admin or Admin(Connection.of(self.admin_settings()))
                try:
                    admin.revoke([_NOBODYS])
                except ExchangeError:
                    pass  # it listens a moment before it answers
                else:
                    return
            time.sleep(_POLL_SECONDS)
        what = "did not answer in time" if deadline.passed else "ended at once"
        log = self.folder.log(node)
        raise ExchangeError("E_EMBEDDED", f"Kafka {what}; its log {log} ends with:\n{tail(log)}")

    def _signal(self, number: signal.Signals) -> None:
        pid = self._lock.pid
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def _start_detached(arguments: tuple[str, ...], log: Path, lock: int) -> int:
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **java.ENVIRONMENT},
            pass_fds=(lock,),
            start_new_session=True,
        )
    process.returncode = 0  # it is not ours to wait for: it outlives us
    return process.pid

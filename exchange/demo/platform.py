"""The machinery of the demo: a real Kafka, a real PostgreSQL, the broker service and one worker of each inner line."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange import names
from exchange.broker.preparation import LEDGER_KEY, LEDGER_PUBLIC_KEY, prepare
from exchange.demo.places import Places
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.ports import HOST
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import Supervisor, exchange_command
from exchange.kafka.client.connection import Connection

PARTITIONS = 4
_SERVE_METRICS = "serve-metrics"
_EVIDENCE_SECONDS = "1"
_ARENAS = "2"
"""Of the C library in a connector's process: each of its many threads would keep one of its own."""


class Platform:
    """Everything that runs. A context: what was started is stopped at its end, in reverse order."""

    def __init__(self, places: Places, settings: Mapping[str, str] | None = None, nodes: int | None = None) -> None:
        """`settings`: environment variables that every child gets; what the platform itself decides is not theirs.

        `nodes`: of Kafka, 1 or 3; None: as many as the folder has, one in a fresh folder.
        """
        self.places = places
        self._settings = dict(settings or {})
        self.kafka = EmbeddedKafka(places.root / "kafka", KafkaOptions(nodes=nodes))
        self.postgres = EmbeddedPostgres(places.root / "postgres")
        self.children = Supervisor(places.logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.children.stop_all()
        self.postgres.stop()
        self.kafka.stop()

    # where things answer

    @property
    def http(self) -> str:
        """The address of the broker service."""
        return f"http://{HOST}:{self.places.port('serve')}"

    def metrics(self, child: str) -> str:
        """The address of a process's metrics."""
        return f"http://{HOST}:{self.places.port(_SERVE_METRICS if child == 'serve' else child)}/metrics"

    def ledger_connection(self) -> Connection:
        """Kafka as the broker service reaches it."""
        return Connection.of(self.kafka.settings(names.BROKER, self.places.principal_secret(names.BROKER)))

    def write_operator_file(self) -> Path:
        """A file to `source` in a shell: it makes the other commands speak to this broker service as operator."""
        token = self.places.secret_file("operator.token")
        file = self.places.root / "operator.sh"
        lines = (f"export EXCHANGE_API__URL={self.http}", f"export EXCHANGE_API__TOKEN_FILE={shlex.quote(str(token))}")
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    # starting

    def start_servers(self) -> None:
        """Kafka, with our principals and the ledger's topic, and PostgreSQL."""
        self.kafka.start()
        self.postgres.start()
        prepare(self.kafka.admin_settings(), self.places.secrets)

    def start_broker(self) -> None:
        """The broker service."""
        environment = self._environment(names.BROKER, "serve")
        environment |= {
            "EXCHANGE_KAFKA__ADMIN_PASSWORD_FILE": str(self.kafka.admin_password_file),
            "EXCHANGE_HTTP__PORT": str(self.places.port("serve")),
            "EXCHANGE_METRICS__PORT": str(self.places.port(_SERVE_METRICS)),
            "EXCHANGE_HTTP__OPERATOR_TOKEN_FILE": str(self.places.secret_file("operator.token")),
            "EXCHANGE_EVIDENCE_SECONDS": _EVIDENCE_SECONDS,
            "EXCHANGE_LEDGER__KEY_FILE": str(self.places.secrets / LEDGER_KEY),
        }
        self.children.start("serve", exchange_command("serve"), environment)

    def start_lines(self) -> None:
        """One worker of admission, one of delivery."""
        self.start_admission()
        self.start_delivery()

    def start_admission(self) -> None:
        """The worker of admission."""
        environment = self._environment(names.ADMISSION, "admit") | self._ledger_key()
        self.children.start("admit", exchange_command("admit"), environment)

    def start_delivery(self) -> None:
        """The worker of delivery, the only process that reads the master secret."""
        environment = self._environment(names.DELIVERY, "deliver") | self._ledger_key()
        environment["EXCHANGE_MASTER_SECRET_FILE"] = str(self.places.secret_file("master"))
        self.children.start("deliver", exchange_command("deliver"), environment)

    def _ledger_key(self) -> dict[str, str]:
        """What tells a line which snapshots of the ledger are good."""
        return {"EXCHANGE_LEDGER__PUBLIC_KEY_FILE": str(self.places.secrets / LEDGER_PUBLIC_KEY)}

    def start_connector(self, name: str, path: Path | None = None) -> None:
        """A department's source or sink in a process of its own, with the department's secrets and database."""
        self._start_connectors(name, (name,), path)

    def start_connectors(self, department: str, connectors: Sequence[str], path: Path | None = None) -> None:
        """Connectors of a department in one process, which bears the department's name.

        path: the file that its file connector reads.
        """
        self._start_connectors(department, connectors, path)

    def _start_connectors(self, child: str, connectors: Sequence[str], path: Path | None) -> None:
        department = child.partition(".")[0]
        environment = self._environment(department, child)
        environment |= {
            "EXCHANGE_API__URL": self.http,
            "EXCHANGE_API__TOKEN_FILE": str(self.places.secret_file(f"{department}.token")),
            "EXCHANGE_CONNECTOR__DATABASE_FILE": str(self.postgres.database_file(department)),
            "EXCHANGE_CONNECTOR__STATE_FOLDER": str(self.places.connectors),
        }
        if path is not None:
            environment["EXCHANGE_CONNECTOR__PATH"] = str(path)
        environment["MALLOC_ARENA_MAX"] = _ARENAS
        self.children.start(child, exchange_command("run", *connectors), environment)

    def _environment(self, principal: str, child: str) -> dict[str, str]:
        return {
            **self._settings,
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "EXCHANGE_KAFKA__USERNAME": principal,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(self.places.principal_secret(principal)),
            "EXCHANGE_KAFKA__REPLICATION": str(self.kafka.replication),
            "EXCHANGE_KAFKA__PARTITIONS": str(PARTITIONS),
            "EXCHANGE_METRICS__PORT": str(self.places.port(child)),
            "EXCHANGE_WORKER_ID": f"demo-{child}",
        }

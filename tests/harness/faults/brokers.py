"""Two broker services as processes, and callers that repeat each command until one of them says that it is done."""

import itertools
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from exchange import names
from exchange.broker.preparation import prepare
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.ports import HOST, free_port
from tests.harness.faults.history import History
from tests.harness.faults.workers import Workers

BROKERS = ("serve-1", "serve-2")
_ANSWER_SECONDS = 5.0
_AGAIN_SECONDS = 0.05
_AGAIN = ("E_NOT_LEADER", "E_LEADER_SILENT", "E_KAFKA_UNREACHABLE", "E_WORKER_TWIN")
"""Answers after which the same command with the same key is right."""


class Brokers:
    """Two broker services on one Kafka."""

    def __init__(self, kafka: EmbeddedKafka, workers: Workers) -> None:
        self.kafka, self.workers = kafka, workers
        self._folder = workers.folder
        prepare(kafka.admin_settings(), self._folder)
        token = secrets.token_urlsafe(32)
        (self._folder / "operator.token").write_text(token, encoding="utf-8")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=_ANSWER_SECONDS, trust_env=False
        )
        self._addresses: dict[str, str] = {}
        for name in BROKERS:
            self.start(name, name)

    def start(self, name: str, worker_id: str) -> None:
        """Start a broker service. Two names may have one id: twins."""
        port = free_port(frozenset(int(address.rpartition(":")[2]) for address in self._addresses.values()))
        self._addresses[name] = f"http://{HOST}:{port}"
        settings = self.kafka.settings(names.BROKER, self._folder / f"{names.BROKER}.secret")
        environment = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.BROKER,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(settings.password_file),
            "EXCHANGE_KAFKA__ADMIN_PASSWORD_FILE": str(self.kafka.admin_password_file),
            "EXCHANGE_KAFKA__REPLICATION": str(self.kafka.replication),
            "EXCHANGE_KAFKA__PARTITIONS": "1",
            "EXCHANGE_HTTP__PORT": str(port),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_HTTP__REQUESTS_PER_SECOND": "10000",
            "EXCHANGE_HTTP__OPERATOR_TOKEN_FILE": str(self._folder / "operator.token"),
            "EXCHANGE_WORKER_ID": worker_id,
        }
        self.workers.start(name, [sys.executable, "-m", "exchange", "serve"], environment)

    def call(self, name: str, method: str, path: str, **rest: Any) -> httpx.Response | None:
        """The answer of a broker service to the operator; None when there is none in time."""
        try:
            return self._http.request(method, self._addresses[name] + path, **rest)
        except httpx.TransportError:
            return None

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def head(self, name: str) -> dict[str, Any]:
        """What a broker service says of the ledger's end; empty when it says nothing."""
        answer = self.call(name, "GET", "/v1/ledger/head")
        return dict(answer.json()) if answer is not None and answer.is_success else {}

    def leader(self) -> str | None:
        """The broker service that leads; None when none says so."""
        return next((name for name in BROKERS if self.head(name).get("leader")), None)


@contextmanager
def two_brokers(folder: Path) -> Iterator[Brokers]:
    """A Kafka of one node and two broker services; all of it is ended at the end."""
    with EmbeddedKafka(folder / "kafka", KafkaOptions(nodes=1)).start() as kafka:
        (folder / "workers").mkdir()
        children = Workers(folder / "workers")
        try:
            with closing(Brokers(kafka, children)) as brokers:
                children.until(lambda: brokers.leader() is not None, 90, "a leader")
                yield brokers
        finally:
            children.close()


@contextmanager
def calling(brokers: Brokers, count: int) -> "Iterator[list[Caller]]":
    """So many callers at work."""
    callers = [Caller(brokers, f"caller-{number}") for number in range(count)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.close()


class Caller(threading.Thread):
    """Issues tokens one after the other; each command is repeated with its key until a broker service takes it."""

    def __init__(self, brokers: Brokers, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._brokers = brokers
        self._over = threading.Event()
        self.acknowledged: list[tuple[float, str, str, str]] = []
        """When (monotonic), by which broker service, the key of the command and the token that it made."""
        self.history = History()
        """Every command with the moments at which it was sent first and answered first."""
        self.refused: set[str] = set()
        """Codes of answers that no repetition mends."""

    def run(self) -> None:
        """Call until `close`."""
        for number in itertools.count():
            key = f"{self.name}-{number}"
            self.history.invoke(key)
            for name in itertools.cycle(BROKERS):
                if self._over.is_set():
                    return
                if self._taken(name, key):
                    break
                self._over.wait(_AGAIN_SECONDS)

    def _taken(self, name: str, key: str) -> bool:
        answer = self._brokers.call(
            name, "POST", "/v1/tokens", json={"role": "auditor"}, headers={"Idempotency-Key": key}
        )
        if answer is None:
            return False
        if answer.is_success:
            token = answer.json()["id"]
            self.history.answer(key, (token,))
            self.acknowledged.append((time.monotonic(), name, key, token))
            return True
        code = answer.json().get("code", str(answer.status_code))
        if code not in _AGAIN:
            self.refused.add(code)
        return False

    def repeat(self, count: int) -> None:
        """Send commands that were acknowledged again, the first and the last ones, until each is answered again."""
        keys = [key for _, _, key, _ in self.acknowledged]
        for key in {*keys[:count], *keys[-count:]}:
            while not any(self._taken(name, key) for name in BROKERS):
                time.sleep(_AGAIN_SECONDS)

    def close(self) -> None:
        """Stop calling; once more does nothing."""
        self._over.set()
        self.join()

"""How fast a command is answered: `python -m tests.bench.bench_commands`. Starts a Kafka and an `exchange serve`.

Client processes, each a department with a token of its own, offer 200 demands a second together, each at its own moment
whether or not the one before was answered (open loop); a demand is answered when it stands in the ledger and was read
back. The time of an answer counts from the moment at which the demand was due, so that a queue shows. First on an empty
ledger, then with 10,000 demands in it.

Ends with status 1 when half of the answers take longer than 20 ms, or fewer demands are answered than were offered.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import queue
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from exchange import names
from exchange.broker.preparation import prepare
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.ports import HOST, free_port

BOUND_SECONDS = 0.020
RATE = 200.0
SECONDS = 20.0
BEFORE = 10_000
THREADS = 16
"""Connections of each client: how many demands of it may wait for their answers at once."""
DEPARTMENTS = ("taxation", "human-resources", "civil-affairs", "health")
_START_SECONDS = 90.0
_LEAD_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one client does."""

    port: int
    token: str
    first: int
    """Number of its first demand; every number asks for other rows."""
    count: int
    begin: float
    """Of the schedule, on the wall clock."""
    every: float
    """Seconds between two demands."""


def offer(load: Load, answer: "multiprocessing.Queue[list[tuple[float, int]]]") -> None:
    """In a process of its own: offer the demands; (seconds from due to answered, status) of each."""
    due: queue.SimpleQueue[int] = queue.SimpleQueue()
    found: list[tuple[float, int]] = []
    for number in range(load.count):
        due.put(number)
    threads = [threading.Thread(target=_ask, args=(load, due, found)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.put(found)


def _ask(load: Load, due: "queue.SimpleQueue[int]", found: list[tuple[float, int]]) -> None:
    connection = http.client.HTTPConnection(HOST, load.port)
    while True:
        try:
            number = due.get_nowait()
        except queue.Empty:
            return
        at = load.begin + number * load.every
        time.sleep(max(0.0, at - time.time()))
        body = json.dumps(demand(load.first + number))
        headers = {
            "Authorization": f"Bearer {load.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }
        connection.request("POST", "/v1/demands", body, headers)
        response = connection.getresponse()
        response.read()
        found.append((time.time() - at, response.status))


def demand(number: int) -> dict[str, object]:
    """A demand for the residents of one place, which the provider has to answer."""
    return {
        "resource": "101001/0001",
        "fields": ["resident_id", "name", "household_region"],
        "scope": [{"field": "household_region", "operator": "equals", "values": [f"{number:06d}"]}],
        "legal_basis": "《社会保险法》第五十七条",
        "scenario": f"办理第{number}号社会保险登记时核验人员信息",
        "use_scope": "仅限本部门业务系统",
        "mode": "batch-exchange",
    }


class Bench:
    """A broker service and clients with tokens of their own."""

    def __init__(self, ports: tuple[int, int], operator: str, pids: Mapping[str, int]) -> None:
        """ports: of the API, of the metrics."""
        self.port, self.metrics_port = port, _ = ports
        self._pids = pids
        self._asked = 0
        self._http = httpx.Client(
            base_url=f"http://{HOST}:{port}",
            headers={"Authorization": f"Bearer {operator}"},
            timeout=_START_SECONDS,
            trust_env=False,
        )
        self._until(lambda: self._get("/readyz").get("role") == "leader")
        self._until(lambda: bool(self._get("/v1/departments").get("items")))
        self._tokens = [self._token(department) for department in DEPARTMENTS]

    def offer(self, count: int, rate: float) -> list[tuple[float, int]]:
        """Offer so many demands at so many a second (0: as fast as they are answered), from all clients."""
        each, begin = count // len(self._tokens), time.time() + _LEAD_SECONDS
        answers: multiprocessing.Queue[list[tuple[float, int]]] = multiprocessing.get_context("spawn").Queue()
        every = len(self._tokens) / rate if rate else 0.0
        loads = [
            Load(self.port, token, self._asked + number * each, each, begin + number * every / len(DEPARTMENTS), every)
            for number, token in enumerate(self._tokens)
        ]
        self._asked += count
        before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        clients = [multiprocessing.get_context("spawn").Process(target=offer, args=(load, answers)) for load in loads]
        for client in clients:
            client.start()
        found = [one for _ in clients for one in answers.get()]
        for client in clients:
            client.join()
        refused = sorted({status for _, status in found if status != 201})
        took = max(seconds for seconds, _ in found) if not rate else count / rate
        cpu = {name: (cpu_seconds(pid) - before[name]) / len(found) * 1000 for name, pid in self._pids.items()}
        costs = ", ".join(f"{name} {cost:.1f}" for name, cost in cpu.items())
        print(
            f"{len(found)} demands in {took:.0f} s ({len(found) / took:.0f}/s), other answers than 201: {refused}; "
            f"ms of CPU a demand: {costs}",
            flush=True,
        )
        return found

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _token(self, department: str) -> str:
        answer = self._http.post("/v1/tokens", json={"role": "department", "department": department})
        answer.raise_for_status()
        return str(answer.json()["token"])

    def _get(self, path: str) -> dict[str, object]:
        try:
            answer = self._http.get(path)
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.is_success else {}

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = Deadline.after(_START_SECONDS)
        while not holds():
            if deadline.passed:
                raise TimeoutError
            time.sleep(0.1)


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A Kafka of one node and a broker service that leads."""
    with EmbeddedKafka(folder / "kafka", KafkaOptions(nodes=1)).start() as kafka:
        prepare(kafka.admin_settings(), folder)
        operator, port = secrets.token_urlsafe(32), free_port(frozenset())
        metrics_port = free_port(frozenset((port,)))
        (folder / "operator.token").write_text(operator, encoding="utf-8")
        settings = kafka.settings(names.BROKER, folder / f"{names.BROKER}.secret")
        environment = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.BROKER,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(settings.password_file),
            "EXCHANGE_KAFKA__ADMIN_PASSWORD_FILE": str(kafka.admin_password_file),
            "EXCHANGE_KAFKA__REPLICATION": str(kafka.replication),
            "EXCHANGE_KAFKA__PARTITIONS": "1",
            "EXCHANGE_HTTP__PORT": str(port),
            "EXCHANGE_METRICS__PORT": str(metrics_port),
            "EXCHANGE_HTTP__OPERATOR_TOKEN_FILE": str(folder / "operator.token"),
            "EXCHANGE_HTTP__REQUESTS_PER_SECOND": "10000",
            "EXCHANGE_HTTP__REQUEST_BURST": "10000",
            "EXCHANGE_WORKER_ID": "serve",
        }
        with (folder / "serve.log").open("wb") as log:
            serve = subprocess.Popen(
                [sys.executable, "-m", "exchange", "serve"], env={**os.environ, **environment}, stdout=log, stderr=log
            )
        try:
            with closing(
                Bench((port, metrics_port), operator, {"serve": serve.pid, "Kafka": kafka.pid or 0})
            ) as running:
                yield running
        finally:
            serve.terminate()
            serve.wait()


def cpu_seconds(pid: int) -> float:
    """CPU that a process has taken, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(what: str, answers: list[tuple[float, int]]) -> float:
    """Print how long the answers took; the median in seconds."""
    times = sorted(seconds for seconds, _ in answers)
    median, last = statistics.median(times), times[int(len(times) * 0.99)]
    print(f"{what}: half within {median * 1000:.1f} ms, 99 % within {last * 1000:.1f} ms", flush=True)
    return median


def main() -> int:
    """Print both figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=float, default=RATE, help="demands a second")
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--before", type=int, default=BEFORE, help="demands in the ledger before the second round")
    asked = arguments.parse_args()
    count = int(asked.rate * asked.seconds)
    with tempfile.TemporaryDirectory() as name, bench(Path(name)) as running:
        running.offer(count // 10, asked.rate)  # until everything is warm
        first = running.offer(count, asked.rate)
        worst = told("in a new ledger", first)
        if asked.before:
            running.offer(asked.before, 0.0)
            second = running.offer(count, asked.rate)
            worst = max(worst, told(f"with {asked.before} demands more", second))
    return int(worst > BOUND_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

"""Two instances over one real ledger: followers send on, and the next leader answers a repetition as the first did."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.leader import AnnounceLeader
from exchange.clock import Clock, Deadline, SystemClock
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.settings import Settings
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import WebHarness, web_harness

pytestmark = pytest.mark.kafka
TAX, HEALTH = "taxation", "health"
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "a law",
    "scenario": "a duty",
    "use_scope": "all",
    "mode": "batch-exchange",
}


class StoreService(MemoryService):
    """The service of the tests over a real ledger. Announces itself when it leads, as `BrokerService` does."""

    def __init__(self, store: LedgerStore, worker: str) -> None:
        super().__init__()
        self.ledger: Any = store
        self.clock: Clock = SystemClock()
        self.worker = worker

    def lead(self, url: str) -> None:
        """Wait until it leads, and say so."""
        until(lambda: self.ledger.leader, f"{self.worker} leads")
        self.ledger.execute(AnnounceLeader(self.worker, url), "exchange", None, Deadline.after(20))


def led(harness: WebHarness) -> None:
    assert isinstance(harness.service, StoreService)
    harness.service.lead(harness.url)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = Deadline.after(40)
    while not holds():
        assert not deadline.passed, f"not in time: {what}"
        threading.Event().wait(0.02)


@pytest.fixture
def instances(
    admin: Admin, admin_connection: Connection, unique: str, tmp_path: Path
) -> Iterator[tuple[WebHarness, WebHarness]]:
    """The one that leads first, and one that follows it."""
    place = LedgerTopic(f"{unique}.ledger", f"{unique}.broker", f"{unique}.broker")
    admin.create_topics([NewTopicSpec(place.name, 1, topic_config(TopicKind.LEDGER))], 1)
    schemas = SchemaRepository.load(Settings().schemas)
    with ExitStack() as opened:

        def instance(worker: str) -> WebHarness:
            store = LedgerStore(admin_connection, schemas, worker, topic=place)
            opened.callback(store.close)
            store.start()
            folder = tmp_path / worker
            folder.mkdir()
            return opened.enter_context(web_harness(folder, StoreService(store, worker)))

        first = instance("one")
        led(first)
        second = instance("two")
        second.tokens = first.tokens
        yield first, second


def test_commands_at_a_follower_and_after_a_leader_change_are_done_once(
    instances: tuple[WebHarness, WebHarness],
) -> None:
    first, second = instances
    until(lambda: second.service.ledger.read(lambda state: state.leader_url) == first.url, "the leader is known")
    assert second.post("operator", "/v1/catalogue").is_success
    added = second.post("operator", "/v1/departments", {"department": HEALTH}, "k-add")
    assert added.json()["secret"] == first.service.secrets[HEALTH]
    second.tokens[TAX] = second.post("operator", "/v1/tokens", {"role": "department", "department": TAX}).json()[
        "token"
    ]
    # what the follower says was done can be read there at once: the token is good
    demanded = second.post(TAX, "/v1/demands", DEMAND, "k-demand")
    assert demanded.status_code == 201
    assert second.get(TAX, f"/v1/demands/{demanded.json()['demand']}").json()["state"] == demanded.json()["state"]

    store: Any = first.service.ledger
    store.close()
    led(second)

    again = second.post("operator", "/v1/departments", {"department": HEALTH}, "k-add")
    assert again.status_code == added.status_code == 201
    assert again.json()["secret"] is None
    assert not second.service.secrets, "the secret that was shown is the one that stays"
    repeated = second.post(TAX, "/v1/demands", DEMAND, "k-demand")
    assert (repeated.status_code, repeated.json()) == (201, demanded.json())
    assert len(second.service.ledger.read(lambda state: state.demands)) == 1

"""A Kafka that accepts and never answers is unreachable, not a surprise."""

import socket
from collections.abc import Callable, Iterator

import pytest

from exchange.errors import ExchangeError
from exchange.kafka.admin import admin as admin_module
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.settings import KafkaSettings


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    monkeypatch.setattr(admin_module, "_REQUEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield Admin(Connection.as_principal(KafkaSettings(bootstrap_servers=address), "nobody", "nothing"))


@pytest.mark.parametrize(
    "call",
    [
        lambda admin: admin.topics(),
        lambda admin: admin.brokers(0.2),
        lambda admin: admin.create_topics([NewTopicSpec("some", 1, {})], 1),
        lambda admin: admin.revoke([Acl("nobody", "topic", "nothing", "read")]),
        lambda admin: admin.committed("some"),
    ],
    ids=["topics", "brokers", "create", "revoke", "committed"],
)
def test_a_call_without_an_answer_says_that_kafka_is_unreachable(mute: Admin, call: Callable[[Admin], object]) -> None:
    with pytest.raises(ExchangeError, match="E_KAFKA_UNREACHABLE"):
        call(mute)


def test_who_has_no_time_left_does_not_wait_as_long_as_a_request_may_take(
    mute: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_module, "_REQUEST_SECONDS", 60.0)
    with pytest.raises(ExchangeError, match="no answer in 0 s"):
        mute.writable(["some"], 0.0)

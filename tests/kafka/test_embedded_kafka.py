"""The embedded Kafka keeps what its folder holds, lets nobody in without a right, and leaves no process behind."""

import pytest

from exchange.embedded.kafka import EmbeddedKafka
from exchange.errors import ExchangeError
from exchange.kafka.admin import Admin, NewTopicSpec
from exchange.kafka.connection import Connection

pytestmark = pytest.mark.kafka


def test_the_super_user_is_let_in(kafka: EmbeddedKafka, admin: Admin) -> None:
    assert "admin" in admin.principals()
    assert kafka.running


def test_a_principal_without_rights_sees_no_topic(admin: Admin, kafka_settings_for, unique: str) -> None:
    admin.create_topics([NewTopicSpec(unique, 1, {})], 1)
    stranger = Admin(Connection.of(kafka_settings_for(f"{unique}-stranger")))
    assert unique in admin.topics()
    assert stranger.topics() == {}
    with pytest.raises(ExchangeError, match="E_KAFKA_FORBIDDEN"):
        stranger.create_topics([NewTopicSpec(f"{unique}-own", 1, {})], 1)

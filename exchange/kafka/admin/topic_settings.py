"""Settings of topics that exist: read, and put back to what they were made with."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import translate

_SECONDS = 30.0


def set_topic_settings(connection: Connection, settings: Mapping[str, Mapping[str, str]]) -> None:
    """Set these settings of each topic; others stay. Raises ExchangeError."""
    resources = []
    for topic, values in settings.items():
        resource = ConfigResource(ResourceType.TOPIC, topic)
        for name, value in values.items():
            resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
        resources.append(resource)
    client = AdminClient(connection.config())
    for future in client.incremental_alter_configs(resources).values():
        _answer(future, "setting up a topic")


def topic_settings(connection: Connection, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Every setting of each topic, defaults too. Raises ExchangeError."""
    client = AdminClient(connection.config())
    asked = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic) for topic in topics])
    return {
        resource.name: {
            name: entry.value for name, entry in _answer(future, "reading a topic's settings").items() if entry.value
        }
        for resource, future in asked.items()
    }


def _answer(future: "Future[Any]", doing: str) -> Any:
    try:
        return future.result(_SECONDS)
    except KafkaException as error:
        raise translate(error, doing) from None
    except TimeoutError:
        raise ExchangeError("E_KAFKA_UNREACHABLE", f"{doing}: no answer in {_SECONDS:.0f} s") from None

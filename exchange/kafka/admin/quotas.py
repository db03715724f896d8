"""Byte quotas of principals. librdkafka has no request for them, so this one module speaks through kafka-python."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection

_PUBLISH = "producer_byte_rate"
_CONSUME = "consumer_byte_rate"
_MATCH_ANY_NAME = 2


@dataclass(frozen=True, slots=True)
class Quota:
    """What one principal may move, in bytes a second and broker."""

    publish_bytes: int
    consume_bytes: int


class _QuotaClient(KafkaAdminClient):  # type: ignore[misc]
    """kafka-python's administrative client with the two requests it knows but does not offer."""

    def alter(self, quotas: Mapping[str, Quota]) -> list[str | None]:
        """Set quotas; one error message or None a principal."""
        request = AlterClientQuotasRequest(
            entries=[([("user", principal)], _operations(quota)) for principal, quota in quotas.items()],
            validate_only=False,
        )
        response = self._manager.run(self._manager.send, request)
        return [entry.error_message if entry.error_code else None for entry in response.entries]

    def describe(self) -> dict[str, Quota]:
        """The quotas of every named principal."""
        request = DescribeClientQuotasRequest(components=[("user", _MATCH_ANY_NAME, None)], strict=True)
        response = self._manager.run(self._manager.send, request)
        found = {}
        for entry in response.entries or ():
            values = {value.key: int(value.value) for value in entry.values}
            if entry.entity[0].entity_name is not None:
                found[entry.entity[0].entity_name] = Quota(values.get(_PUBLISH, 0), values.get(_CONSUME, 0))
        return found


def _operations(quota: Quota) -> Sequence[tuple[str, float, bool]]:
    return [(_PUBLISH, float(quota.publish_bytes), False), (_CONSUME, float(quota.consume_bytes), False)]


def _client(connection: Connection) -> _QuotaClient:
    config = connection.config()
    try:
        return _QuotaClient(
            bootstrap_servers=config["bootstrap.servers"].split(","),
            security_protocol=config["security.protocol"],
            sasl_mechanism=config.get("sasl.mechanism"),
            sasl_plain_username=config.get("sasl.username"),
            sasl_plain_password=config.get("sasl.password"),
            ssl_cafile=config.get("ssl.ca.location"),
            client_id=f"{connection.username}.quotas",
        )
    except KafkaError as error:
        raise ExchangeError("E_KAFKA_UNREACHABLE", f"quotas: {type(error).__name__}") from None


def set_quotas(connection: Connection, quotas: Mapping[str, Quota]) -> None:
    """Set the quotas of principals. Raises ExchangeError(E_ENFORCE) when Kafka refuses one."""
    if not quotas:
        return
    with closing(_client(connection)) as client:
        refused = [message for message in client.alter(quotas) if message is not None]
    if refused:
        raise ExchangeError("E_ENFORCE", f"quotas: {refused[0]}")


def quotas_of(connection: Connection) -> dict[str, Quota]:
    """The quotas of every principal that has one of its own."""
    with closing(_client(connection)) as client:
        return client.describe()

"""Looking at and changing Kafka's topics, rights, secrets, quotas and offsets. One per process: keep it alive."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_INVALID,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.group_offsets import GroupOffsets
from exchange.kafka.client.connection import Connection, Login
from exchange.kafka.client.errors import error_of, translate

_REQUEST_SECONDS = 30.0
_TRY_SECONDS = 5.0
"""How long one node is asked: the client would wait for a lost one until the whole request is over."""
_PAUSE_SECONDS = 0.1
_TOPICS_PER_CALL = 150
_ACLS_PER_CALL = 500
_SCRAM_ITERATIONS = 8192
_Result = TypeVar("_Result")
_UNSEEN = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED)


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One right of a principal, in Kafka's words in lower case.

    `resource` is `topic`, `group`, `transactional_id`, `cluster` …; `operation` is `read`, `write`, `describe`, `all` …
    """

    principal: str
    resource: str
    name: str
    operation: str
    prefixed: bool = False
    host: str = "*"
    permission: str = "allow"


@dataclass(frozen=True, slots=True)
class NewTopicSpec:
    """A topic to be made."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OffsetAt:
    """An offset and the time (milliseconds) of the record there."""

    offset: int
    timestamp: int


def _wait(future: "Future[_Result]", doing: str) -> _Result:
    try:
        return _answer(future, doing)
    except KafkaException as error:
        raise translate(error, doing) from None


def _answer(future: "Future[_Result]", doing: str, seconds: float | None = None) -> _Result:
    """What Kafka answers; the client itself would wait longer while the nodes have no controller.

    seconds: how long to wait, 0 for an answer that must be there; None: as long as any request.
    """
    seconds = _REQUEST_SECONDS if seconds is None else seconds
    try:
        return future.result(seconds)
    except TimeoutError:
        raise ExchangeError("E_KAFKA_UNREACHABLE", f"{doing}: no answer in {seconds:.0f} s") from None


def _try_seconds() -> float:
    return min(_TRY_SECONDS, _REQUEST_SECONDS)


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))


class Admin:
    """The administrative client of one principal."""

    def __init__(self, connection: Connection) -> None:
        self._login = Login(connection)
        self._client = AdminClient(connection.config(error_cb=self._login))
        self._groups = GroupOffsets(connection)

    # brokers

    def brokers(self, seconds: float = _REQUEST_SECONDS) -> dict[int, int]:
        """Every broker that serves now, with the number of its replicas that have not caught up."""
        found = self._listed("listing brokers", seconds)
        behind = dict.fromkeys(found.brokers, 0)
        for partition in (one for topic in found.topics.values() for one in topic.partitions.values()):
            for broker in behind.keys() & (set(partition.replicas) - set(partition.isrs)):
                behind[broker] += 1
        return behind

    # topics

    def topics(self) -> dict[str, int]:
        """Every topic this principal may see, with its partition count."""
        found = self._listed("listing topics", _REQUEST_SECONDS).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def _listed(self, doing: str, seconds: float) -> Any:
        """What there is of brokers and topics."""
        try:
            found = self._client.list_topics(timeout=seconds)
        except KafkaException as error:
            self._client.poll(0)
            self._login.check()
            raise translate(error, doing) from None
        self._login.answered()
        return found

    def writable(self, topics: Iterable[str], seconds: float | None = None) -> set[str]:
        """Those of `topics` that exist and that this principal may write, as Kafka itself judges it."""
        found = set()
        for chunk in _chunks(sorted(topics), _TOPICS_PER_CALL):
            asked = self._client.describe_topics(TopicCollection(list(chunk)), include_authorized_operations=True)
            for name, future in asked.items():
                try:
                    allowed = _answer(future, f"looking at {name}", seconds).authorized_operations or ()
                except KafkaException as error:
                    if error_of(error).code() not in _UNSEEN:
                        raise translate(error, f"looking at {name}") from None
                    continue
                if AclOperation.WRITE in allowed:
                    found.add(name)
        return found

    def create_topics(self, specs: Sequence[NewTopicSpec], replication: int) -> None:
        """Make topics; one that exists already is left as it is."""
        for chunk in _chunks(specs, _TOPICS_PER_CALL):
            new = [NewTopic(spec.name, spec.partitions, replication, config=dict(spec.config)) for spec in chunk]
            for name, future in self._client.create_topics(new).items():
                self._unless(KafkaError.TOPIC_ALREADY_EXISTS, future, f"making topic {name}")

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics; one that is gone already is no error."""
        for chunk in _chunks(names, _TOPICS_PER_CALL):
            for name, future in self._client.delete_topics(list(chunk)).items():
                self._unless(KafkaError.UNKNOWN_TOPIC_OR_PART, future, f"deleting topic {name}")

    # rights

    def acls(self) -> set[Acl]:
        """Every right that is set, also those that no one of ours would give."""
        every = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        return {_acl(binding) for binding in _wait(self._client.describe_acls(every), "listing rights")}

    def grant(self, acls: Iterable[Acl]) -> None:
        """Give rights; one that is there already is no error."""
        for chunk in _chunks([_binding(acl) for acl in acls], _ACLS_PER_CALL):
            for future in self._client.create_acls(list(chunk)).values():
                _wait(future, "giving a right")

    def revoke(self, acls: Iterable[Acl]) -> None:
        """Take rights away; one that is gone already is no error."""
        for chunk in _chunks([_filter(acl) for acl in acls], _ACLS_PER_CALL):
            for future in self._client.delete_acls(list(chunk)).values():
                _wait(future, "taking a right away")

    # principals

    def principals(self) -> set[str]:
        """Every principal that has a secret."""
        return set(_wait(self._client.describe_user_scram_credentials(), "listing principals"))

    def set_secret(self, principal: str, secret: str) -> None:
        """Give a principal its (new) SCRAM-SHA-512 secret."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
        change = UserScramCredentialUpsertion(principal, info, secret.encode())
        for future in self._client.alter_user_scram_credentials([change]).values():
            _wait(future, f"setting the secret of {principal}")

    # offsets

    def end_offsets(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The last stable offset of each partition: what a `read_committed` reader can reach."""
        found = self._offsets(dict.fromkeys(partitions, OffsetSpec.latest()), "reading end offsets")
        return {place: info.offset for place, info in found.items()}

    def beginnings(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The first offset that still stands in each partition; where nothing does, its end."""
        found = self._offsets(dict.fromkeys(partitions, OffsetSpec.earliest()), "reading first offsets")
        return {place: info.offset for place, info in found.items()}

    def offsets_for_time(
        self, partitions: Iterable[tuple[str, int]], time_ms: int
    ) -> dict[tuple[str, int], int | None]:
        """The first offset at or after a time in each partition; None when there is none."""
        found = self._offsets(dict.fromkeys(partitions, OffsetSpec.for_timestamp(time_ms)), "reading offsets by time")
        return {place: info.offset if info.offset >= 0 else None for place, info in found.items()}

    def newest(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], OffsetAt]:
        """The record with the greatest timestamp in each partition; an empty partition is absent."""
        found = self._offsets(dict.fromkeys(partitions, OffsetSpec.max_timestamp()), "reading newest records")
        return {place: OffsetAt(info.offset, info.timestamp) for place, info in found.items() if info.offset >= 0}

    def committed(self, group: str, partitions: Iterable[tuple[str, int]] | None = None) -> dict[tuple[str, int], int]:
        """The committed offsets of a group; partitions without a commit are absent."""
        return self._groups.committed(group, partitions, Deadline.after(_REQUEST_SECONDS))

    def _offsets(self, specs: Mapping[tuple[str, int], OffsetSpec], doing: str) -> dict[tuple[str, int], Any]:
        """What Kafka says of each partition; where there is no such record, of the offset -1."""
        if not specs:
            return {}
        request = {TopicPartition(topic, number): spec for (topic, number), spec in specs.items()}

        def ask() -> dict[tuple[str, int], Any]:
            futures = self._client.list_offsets(
                request, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_try_seconds()
            )
            found = {}
            for place, future in futures.items():
                info = _wait(future, doing)
                if info.offset == OFFSET_INVALID:  # the client's word, without an error, for a leader that is gone
                    raise ExchangeError("E_KAFKA_UNREACHABLE", f"{doing}: a partition has no leader")
                found[(place.topic, place.partition)] = info
            return found

        return self._again(ask)

    def _again(self, ask: Callable[[], _Result]) -> _Result:
        """The answer of a leader: of its successor when it was lost, which may take some seconds."""
        deadline = Deadline.after(_REQUEST_SECONDS)
        while True:
            try:
                return ask()
            except ExchangeError as error:
                if error.code != "E_KAFKA_UNREACHABLE" or deadline.passed:
                    raise
            time.sleep(_PAUSE_SECONDS)
            try:
                self.brokers(_try_seconds())  # else the client goes on asking the leader that it remembers
            except ExchangeError:
                pass

    @staticmethod
    def _unless(harmless: int, future: "Future[Any]", doing: str) -> None:
        try:
            _answer(future, doing)
        except KafkaException as error:
            if error_of(error).code() != harmless:
                raise translate(error, doing) from None


def _parts(acl: Acl) -> tuple[Any, ...]:
    return (
        ResourceType[acl.resource.upper()],
        acl.name,
        ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
        f"User:{acl.principal}",
        acl.host,
        AclOperation[acl.operation.upper()],
        AclPermissionType[acl.permission.upper()],
    )


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(*_parts(acl))


def _filter(acl: Acl) -> AclBindingFilter:
    return AclBindingFilter(*_parts(acl))


def _acl(binding: AclBinding) -> Acl:
    return Acl(
        binding.principal.removeprefix("User:"),
        binding.restype.name.lower(),
        binding.name,
        binding.operation.name.lower(),
        binding.resource_pattern_type == ResourcePatternType.PREFIXED,
        binding.host,
        binding.permission_type.name.lower(),
    )

"""A group is told of offsets in the background: the newest, seldom, and again until it has answered."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from exchange.errors import ExchangeError
from exchange.kafka.client import told_offsets
from exchange.kafka.client.told_offsets import ToldOffsets

TOPIC = "share.s-1"


class Consumer:
    """Keeps what is committed."""

    def __init__(self) -> None:
        self.sent: list[list[TopicPartition]] = []
        self.refuses: KafkaError | None = None

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        self.sent.append(offsets)

    @property
    def said(self) -> list[dict[int, int]]:
        return [{place.partition: place.offset for place in places} for places in self.sent]


class MonotonicTime:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MonotonicTime:
    time = MonotonicTime()
    monkeypatch.setattr(told_offsets, "time", time)
    return time


@pytest.fixture
def refusals() -> list[KafkaError]:
    return []


@pytest.fixture
def told(refusals: list[KafkaError], time: MonotonicTime) -> ToldOffsets:
    return ToldOffsets(TOPIC, refusals.append)  # type: ignore[arg-type]


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


def tell(told: ToldOffsets, consumer: Consumer, at_once: bool = False) -> None:
    told.tell(consumer, at_once)  # type: ignore[arg-type]


def test_a_hundred_batches_are_one_commit_of_the_newest_offsets(
    told: ToldOffsets, consumer: Consumer, time: MonotonicTime
) -> None:
    for end in range(1, 101):
        told.note({end % 2: end})
        tell(told, consumer)
    assert consumer.said == [{1: 1}]
    told.answered(None, consumer.sent[0])
    tell(told, consumer)
    assert len(consumer.said) == 1
    time.seconds += 1.0
    tell(told, consumer)
    assert consumer.said[1:] == [{0: 100, 1: 99}]
    told.answered(None, consumer.sent[1])
    assert not told.waiting


def test_an_answer_that_is_awaited_is_not_overtaken(told: ToldOffsets, consumer: Consumer, time: MonotonicTime) -> None:
    told.note({0: 1})
    tell(told, consumer)
    told.note({0: 2})
    time.seconds += 10.0
    tell(told, consumer, at_once=True)
    assert consumer.said == [{0: 1}]
    time.seconds += 60.0
    tell(told, consumer)
    assert consumer.said == [{0: 1}, {0: 2}]


def test_what_came_while_an_answer_was_awaited_is_still_to_be_told(told: ToldOffsets, consumer: Consumer) -> None:
    told.note({0: 1})
    tell(told, consumer)
    told.note({0: 2})
    told.answered(None, consumer.sent[0])
    assert told.waiting
    tell(told, consumer, at_once=True)
    told.answered(None, consumer.sent[1])
    assert not told.waiting


@pytest.mark.parametrize(
    "problem", [KafkaError._TRANSPORT, KafkaError.REBALANCE_IN_PROGRESS, KafkaError._AUTHENTICATION]
)
def test_what_passes_by_itself_is_told_again(
    told: ToldOffsets, consumer: Consumer, time: MonotonicTime, problem: int
) -> None:
    told.note({0: 1})
    tell(told, consumer)
    told.answered(KafkaError(problem), consumer.sent[0])
    time.seconds += 1.0
    tell(told, consumer)
    assert consumer.said == [{0: 1}, {0: 1}]


def test_a_refused_login_is_passed_on_so_that_the_secret_is_read_anew(
    told: ToldOffsets, consumer: Consumer, refusals: list[KafkaError], time: MonotonicTime
) -> None:
    told.note({0: 1})
    tell(told, consumer)
    told.answered(KafkaError(KafkaError._AUTHENTICATION), consumer.sent[0])
    assert [one.code() for one in refusals] == [KafkaError._AUTHENTICATION]
    told.answered(KafkaError(KafkaError.FENCED_INSTANCE_ID), consumer.sent[0])
    time.seconds += 1.0
    tell(told, consumer)  # away for longer than its session, it is no twin
    assert len(consumer.sent) == 2


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (KafkaError.FENCED_INSTANCE_ID, "E_WORKER_TWIN"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "E_KAFKA_FORBIDDEN"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "E_KAFKA_TOPIC_MISSING"),
    ],
)
def test_what_waiting_does_not_mend_is_raised_by_the_next_call(
    told: ToldOffsets, consumer: Consumer, problem: int, code: str
) -> None:
    told.note({0: 1})
    tell(told, consumer)
    told.answered(KafkaError(problem), consumer.sent[0])
    with pytest.raises(ExchangeError, match=code):
        tell(told, consumer)


def test_a_commit_that_cannot_even_be_sent_is_an_answer_too(told: ToldOffsets, consumer: Consumer) -> None:
    consumer.refuses = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    told.note({0: 1})
    tell(told, consumer)
    with pytest.raises(ExchangeError, match="E_KAFKA_FORBIDDEN"):
        tell(told, consumer)


def test_nothing_is_told_of_partitions_that_have_gone(told: ToldOffsets, consumer: Consumer) -> None:
    told.note({0: 1})
    told.clear()
    tell(told, consumer, at_once=True)
    assert consumer.sent == []


def test_one_partition_that_is_refused_is_no_success(told: ToldOffsets, consumer: Consumer) -> None:
    told.note({0: 1, 1: 2})
    tell(told, consumer)
    places: list[Any] = [Place(0, 1, None), Place(1, 2, KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))]
    told.answered(None, places)
    with pytest.raises(ExchangeError, match="E_KAFKA_FORBIDDEN"):
        tell(told, consumer)


class Place:
    """A partition in an answer of the group."""

    def __init__(self, partition: int, offset: int, error: KafkaError | None) -> None:
        self.partition, self.offset, self.error = partition, offset, error

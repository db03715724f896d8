"""The border where errors of the client become ours, and what a line does about each (measured table)."""

from enum import Enum

from confluent_kafka import KafkaError, KafkaException

from exchange.errors import ExchangeError


class Recovery(Enum):
    """What the owner of a client does next."""

    AGAIN = "again"
    """Call the same again: nothing is decided yet."""
    REBUILD = "rebuild"
    """Close the producer, make a new one, restore the state, seek to the committed offsets."""
    LEAVE = "leave"
    """Another instance has taken over: leave without a trace."""


_CODES: dict[int, str] = {
    KafkaError._TRANSPORT: "E_KAFKA_UNREACHABLE",
    KafkaError._ALL_BROKERS_DOWN: "E_KAFKA_UNREACHABLE",
    KafkaError._RESOLVE: "E_KAFKA_UNREACHABLE",
    KafkaError._TIMED_OUT: "E_KAFKA_UNREACHABLE",
    KafkaError._TIMED_OUT_QUEUE: "E_KAFKA_UNREACHABLE",
    KafkaError._MSG_TIMED_OUT: "E_KAFKA_UNREACHABLE",
    KafkaError.REQUEST_TIMED_OUT: "E_KAFKA_UNREACHABLE",
    KafkaError.COORDINATOR_NOT_AVAILABLE: "E_KAFKA_UNREACHABLE",
    KafkaError.NOT_ENOUGH_REPLICAS: "E_KAFKA_UNREACHABLE",
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: "E_KAFKA_UNREACHABLE",
    KafkaError.NOT_LEADER_FOR_PARTITION: "E_KAFKA_UNREACHABLE",
    KafkaError.FENCED_LEADER_EPOCH: "E_KAFKA_UNREACHABLE",
    KafkaError.UNKNOWN_LEADER_EPOCH: "E_KAFKA_UNREACHABLE",
    KafkaError.OFFSET_NOT_AVAILABLE: "E_KAFKA_UNREACHABLE",
    KafkaError.NETWORK_EXCEPTION: "E_KAFKA_UNREACHABLE",
    KafkaError._WAIT_COORD: "E_KAFKA_UNREACHABLE",
    KafkaError.LEADER_NOT_AVAILABLE: "E_KAFKA_UNREACHABLE",
    KafkaError.NOT_COORDINATOR: "E_KAFKA_UNREACHABLE",
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: "E_KAFKA_UNREACHABLE",
    KafkaError._AUTHENTICATION: "E_KAFKA_REFUSED",
    KafkaError.SASL_AUTHENTICATION_FAILED: "E_KAFKA_REFUSED",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "E_KAFKA_FORBIDDEN",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "E_KAFKA_FORBIDDEN",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "E_KAFKA_FORBIDDEN",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "E_KAFKA_FORBIDDEN",
    KafkaError._FENCED: "E_KAFKA_FENCED",
    KafkaError.INVALID_PRODUCER_EPOCH: "E_KAFKA_FENCED",
    KafkaError.PRODUCER_FENCED: "E_KAFKA_FENCED",
    KafkaError.UNKNOWN_MEMBER_ID: "E_KAFKA_MEMBERSHIP",
    KafkaError.ILLEGAL_GENERATION: "E_KAFKA_MEMBERSHIP",
    KafkaError.REBALANCE_IN_PROGRESS: "E_KAFKA_MEMBERSHIP",
    KafkaError._MAX_POLL_EXCEEDED: "E_KAFKA_MEMBERSHIP",
    KafkaError.FENCED_INSTANCE_ID: "E_WORKER_TWIN",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "E_KAFKA_TOPIC_MISSING",
    KafkaError._UNKNOWN_TOPIC: "E_KAFKA_TOPIC_MISSING",
    KafkaError._UNKNOWN_PARTITION: "E_KAFKA_TOPIC_MISSING",
    KafkaError.MSG_SIZE_TOO_LARGE: "E_KAFKA_TOO_LARGE",
}

_TRANSIENT = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
_MEMBER_GONE = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL})
_POSITION_LOST = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION},
)


def error_of(cause: KafkaError | KafkaException) -> KafkaError:
    """The client's error inside its exception."""
    if isinstance(cause, KafkaException):
        error: KafkaError = cause.args[0]
        return error
    return cause


def translate(cause: KafkaError | KafkaException, doing: str = "") -> ExchangeError:
    """Our error for one of the client's. `doing` says what was tried; the client's name of the error is added."""
    error = error_of(cause)
    return ExchangeError(_CODES.get(error.code(), "E_KAFKA"), f"{doing + ': ' if doing else ''}{error.name()}")


def is_transient(problem: KafkaError) -> bool:
    """Whether what a consumer reports passes by itself, so that its owner just goes on reading.

    It is the same for every reader. One without a group is never told of coordinators, and one that hears nothing but
    "no answer in time" for long is stopped by its own deadline, so a wider set than it needs hides nothing from it.
    """
    return bool(problem.retriable()) or problem.code() in _TRANSIENT


def raise_lasting(problem: KafkaError, doing: str) -> None:
    """Raises ExchangeError for what a consumer reports, unless it passes by itself."""
    if not is_transient(problem):
        raise translate(problem, doing)


def ends_membership(problem: KafkaError) -> bool:
    """Whether a static member is none any more: another has its id, or the client has given itself up."""
    return bool(problem.fatal()) or problem.code() in _MEMBER_GONE


def is_position_lost(problem: KafkaError) -> bool:
    """Whether a partition is read no further because its log does not have the offset to read, or not as it was."""
    return problem.code() in _POSITION_LOST


def recovery(cause: KafkaError | KafkaException) -> Recovery:
    """What to do after an error of a transactional call.

    Crash-only: what is not retriable is mended by a rebuild, also fencing, because a fenced instance cannot be told
    apart from one whose transaction outlived its timeout. Only a twin with the same static id must leave.
    """
    error = error_of(cause)
    if error.code() == KafkaError.FENCED_INSTANCE_ID:
        return Recovery.LEAVE
    if error.retriable() and not error.fatal() and not error.txn_requires_abort():
        return Recovery.AGAIN
    return Recovery.REBUILD

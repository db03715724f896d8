"""What libraries say is told with its words and without values; a trouble that goes on is a line now and then."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from exchange.observe import logs
from exchange.observe.repeats import Repeats

SECRET = "34990019900101001X"
DAY = 86_400


class Clock:
    """A monotonic clock that is set."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handlers = logging.root.handlers
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers = handlers


@pytest.fixture
def told() -> Iterator[tuple[list[dict[str, object]], Clock]]:
    lines: list[dict[str, object]] = []
    clock = Clock()

    def keep(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        lines.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.add_log_level, Repeats(clock), keep])
    yield lines, clock
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("name", "message", "arguments", "text"),
    [
        ("uvicorn.error", "Invalid HTTP request received.", (), "Invalid HTTP request received."),
        ("librdkafka", "%s [%s] %s", ("FAIL", "c#1", "10.0.0.1:9093: Connection refused"),
         "FAIL [c#1] 10.0.0.1:9093: Connection refused"),
        ("asyncio", "Task exception was never retrieved\nfuture: <Task exception=ValueError('Zhang San')>", (),
         f"Task exception was never retrieved future: <Task exception=ValueError({logs.MASK})>"),
        ("sqlalchemy.pool.impl", "The connection of row %r is bad", (SECRET,), "The connection of row %r is bad"),
    ],
)  # fmt: skip
def test_a_library_keeps_its_words(
    stream: io.StringIO, name: str, message: str, arguments: tuple[str, ...], text: str
) -> None:
    logging.getLogger(name).warning(message, *arguments)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["text"]) == ("library", name, text)
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("name", ["uvicorn.error", "librdkafka", "sqlalchemy.engine", "some.library"])
@pytest.mark.parametrize(
    "quoting",
    ["value '{}'", 'value "{}"', "value `{}`", "number 13912345678", "code 34990019900101001X", "张三 of 合肥",
     "a@b.cn", "cut off '{}"],
)  # fmt: skip
def test_no_value_is_quoted(stream: io.StringIO, name: str, quoting: str) -> None:
    logging.getLogger(name).error(quoting.format("Zhang San"))
    for value in ("Zhang San", "13912345678", "34990019900101001X", "张三", "合肥", "a@b.cn"):
        assert value not in stream.getvalue()


def test_a_text_that_another_library_has_put_together_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("row of Zhang San is bad")
    (line,) = lines(stream)
    assert "text" not in line
    assert str(line["at"]).startswith("test_log_repeats:")


def test_the_text_of_a_library_is_bounded(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("word " * 100_000)
    assert len(stream.getvalue()) < 1_000


def test_a_day_without_kafka_is_a_few_lines_with_their_counts(told: tuple[list[dict[str, object]], Clock]) -> None:
    found, clock = told
    said, every = 0, 0.5
    while clock.seconds < DAY:
        structlog.get_logger("exchange.kafka").warning("kafka.client", error="_ALL_BROKERS_DOWN", seconds=said)
        said += 1
        clock.seconds += every
    assert len(found) < 50
    assert found[0].get("repeated") is None
    clock.seconds += 2 * 3 * 3_600
    structlog.get_logger().info("something else")
    counted = len([one for one in found if one["event"] == "kafka.client"])
    assert counted + sum(int(str(one.get("repeated", 0))) for one in found) == said
    (rest,) = [one for one in found if one["event"] == "log.repeated"]
    assert (rest["of"], rest["error"]) == ("kafka.client", "_ALL_BROKERS_DOWN")


def test_another_trouble_is_told_at_once(told: tuple[list[dict[str, object]], Clock]) -> None:
    found, _ = told
    for connector in ("one", "two"):
        for code in ("E_KAFKA_UNREACHABLE", "E_TOKEN"):
            for _again in range(3):
                structlog.get_logger().warning("connector.waits", connector=connector, code=code, detail="some words")
    assert len(found) == 4


def test_what_is_no_trouble_is_never_left_out(told: tuple[list[dict[str, object]], Clock]) -> None:
    found, _ = told
    for _again in range(5):
        structlog.get_logger().info("unit.ready")
    assert len(found) == 5


def test_a_trouble_that_comes_back_after_a_quiet_time_is_a_new_one(told: tuple[list[dict[str, object]], Clock]) -> None:
    found, clock = told
    structlog.get_logger().warning("ledger.read-failed")
    clock.seconds += 600
    structlog.get_logger().warning("ledger.read-failed")
    assert [one.get("repeated") for one in found] == [None, None]


def test_troubles_without_end_take_no_memory_without_end() -> None:
    repeats = Repeats(Clock())
    for number in range(5_000):
        repeats(None, "", {"event": f"event {number}", "level": "error"})
    assert len(repeats._troubles) <= 1_000

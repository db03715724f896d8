import io
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import structlog

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.names import RecordType
from exchange.observe import health, logs, metrics
from exchange.observe.condition import Condition
from exchange.observe.families import GaugeFamily, HistogramFamily
from exchange.observe.health import HealthServer
from exchange.stages import Stage

TYPE = RecordType("population.resident")
SECRET = "34990019900101001X"
PROMISED = (
    "shared_demand_satisfaction_ratio",
    "shared_demands_counted",
    "shared_demands_satisfied",
    "registry_shared_demand_satisfaction_ratio",
    "department_shared_demand_satisfaction_ratio",
    "demands",
    "demands_overdue",
    "records_total",
    "source_silence_seconds",
    "books_records",
    "books_difference",
    "backfill_records",
    "backfill_remaining_records",
    "line_lag_seconds",
    "line_lag_records",
    "delivery_latency_seconds",
    "share_lag_seconds",
    "quarantine_records",
    "enforcement_drift_total",
    "build_info",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def configured() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handlers = logging.root.handlers
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers = handlers


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_line_is_json_with_event_level_time_and_keys(configured: io.StringIO) -> None:
    logs.get_logger("exchange.test", line="admission").info("unit.ready", stage=Stage.ADMISSION_CHECK, partition=3)
    (line,) = lines(configured)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "unit.ready",
        "level": "info",
        "component": "exchange.test",
        "line": "admission",
        "stage": "admission.check",
        "partition": 3,
    }


def test_on_a_terminal_a_line_is_for_people() -> None:
    stream = Terminal()
    logs.configure("info", stream)
    structlog.get_logger().info("unit.ready")
    structlog.reset_defaults()
    assert "unit.ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_levels_below_the_configured_one_are_silent(configured: io.StringIO) -> None:
    structlog.get_logger().debug("noise")
    assert configured.getvalue() == ""


@pytest.mark.parametrize("name", ["key", "value", "payload", "headers", "row", "password", "token"])
def test_payload_and_secrets_never_reach_a_log(configured: io.StringIO, name: str) -> None:
    structlog.get_logger().warning("bad", **{name: SECRET})
    assert SECRET not in configured.getvalue()
    assert lines(configured)[0][name] == logs.MASK


def test_bytes_never_reach_a_log_under_any_name(configured: io.StringIO) -> None:
    structlog.get_logger().warning("bad", harmless=SECRET.encode())
    assert SECRET not in configured.getvalue()


def test_an_exception_is_told_by_kind_code_and_place_only(configured: io.StringIO) -> None:
    try:
        raise ExchangeError("E_ENCODE", SECRET)
    except ExchangeError:
        structlog.get_logger().exception("failed")
    (line,) = lines(configured)
    assert (line["error"], line["code"]) == ("ExchangeError", "E_ENCODE")
    assert "test_an_exception_is_told" in str(line["at"])
    assert SECRET not in configured.getvalue()


def test_what_a_library_says_is_told_without_its_text(configured: io.StringIO) -> None:
    logging.getLogger("some.library").warning("row %s is bad", SECRET)
    (line,) = lines(configured)
    assert (line["event"], line["logger"], line["level"]) == ("library", "some.library", "warning")
    assert SECRET not in configured.getvalue()


def test_every_promised_metric_is_shown_under_its_name() -> None:
    metrics.count_records(Stage.ADMISSION_ADMIT, "admitted", TYPE, 3)
    metrics.count_drift("acl")
    metrics.DELIVERY_LATENCY.observe(TYPE, 0.2, 5)
    text = metrics.exposition().decode()
    for name in PROMISED:
        assert f"# HELP exchange_{name} " in text
    labels = 'line="admission",outcome="admitted",record_type="population.resident",stage="admission.admit"'
    assert f"exchange_records_total{{{labels}}} " in text


def test_a_gauge_that_is_not_set_has_no_sample() -> None:
    registry = metrics.CollectorRegistry()
    gauge = GaugeFamily(registry, "rate", "a rate", ["variant"])
    gauge.set(0.5, "strict")
    gauge.set(0.7, "weighted")
    gauge.drop("strict")
    assert gauge.read() == {("weighted",): 0.7}
    gauge.replace({})
    assert registry.get_sample_value("rate", {"variant": "weighted"}) is None
    with pytest.raises(ValueError, match="labels"):
        gauge.set(1)


def test_a_histogram_takes_many_observations_at_a_time() -> None:
    registry = metrics.CollectorRegistry()
    histogram = HistogramFamily(registry, "took", "a time", "record_type", (1.0, 2.0))
    histogram.observe(TYPE, 0.5, 10)
    histogram.observe(TYPE, 2.0, 5)
    histogram.observe(TYPE, 9.0)
    label = {"record_type": TYPE}
    counts = [registry.get_sample_value("took_bucket", label | {"le": le}) for le in ("1.0", "2.0", "+Inf")]
    assert counts == [10, 15, 16]
    assert registry.get_sample_value("took_sum", label) == 24


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_worker_tells_its_health_readiness_and_metrics() -> None:
    refreshed: list[bool] = []
    state = {"live": True, "ready": False}
    unready = lambda: [] if state["ready"] else ["not yet"]  # noqa: E731
    server = HealthServer("127.0.0.1", 0, lambda: state["live"], unready, lambda: refreshed.append(True))
    try:
        assert [status(server.port, path) for path in ("/healthz", "/readyz", "/metrics", "/x")] == [200, 503, 200, 404]
        assert refreshed == [True]
        state.update(live=False, ready=True)
        assert [status(server.port, path) for path in ("/healthz", "/readyz")] == [503, 200]
    finally:
        server.close()


def test_a_port_that_is_taken_is_an_error_of_the_settings() -> None:
    server = HealthServer("127.0.0.1", 0, lambda: True, list)
    try:
        with pytest.raises(ExchangeError) as caught:
            HealthServer("127.0.0.1", server.port, lambda: True, list)
        assert caught.value.code == "E_SETTINGS"
        assert str(server.port) in caught.value.detail
        assert "EXCHANGE_METRICS__PORT" in caught.value.detail
    finally:
        server.close()


def test_an_address_that_is_none_is_an_error_of_the_settings() -> None:
    for host in ("no-such-host.invalid", "x" * 300):
        with pytest.raises(ExchangeError) as caught:
            HealthServer(host, 0, lambda: True, list)
        assert caught.value.code == "E_SETTINGS"


def body(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def test_readyz_names_everything_that_is_not_ready_in_a_line_of_its_own() -> None:
    wrong = ["health.deaths: away since 2026-11-24T08:00:00.000Z (E_SOURCE_UNREACHABLE)", "health.births: two\nlines"]
    server = HealthServer("127.0.0.1", 0, lambda: True, lambda: wrong)
    try:
        assert body(server.port, "/readyz").splitlines() == [wrong[0], "health.births: two lines"]
        wrong.clear()
        assert body(server.port, "/readyz") == "ok\n"
    finally:
        server.close()


def test_a_condition_starts_as_not_ready() -> None:
    condition = Condition()
    assert (condition.ready, condition.reason) == (False, "starting")
    condition.set(True, "at work")
    assert condition.state == (True, "at work")


def hold(port: int, count: int) -> list[socket.socket]:
    """Connections on which nothing is said."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]


def test_who_says_nothing_keeps_nobody_from_the_metrics() -> None:
    server = HealthServer("127.0.0.1", 0, lambda: True, list)
    held = hold(server.port, 100)
    try:
        assert status(server.port, "/metrics") == 200
        assert status(server.port, "/healthz") == 200
        before = threading.active_count()
        assert before < 100, "connections are bounded, and with them threads"
    finally:
        for one in held:
            one.close()
        server.close()


def test_a_request_that_trickles_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_REQUEST_SECONDS", 0.3)
    server = HealthServer("127.0.0.1", 0, lambda: True, list)
    (slow,) = hold(server.port, 1)
    deadline = Deadline.after(30.0)
    try:
        with pytest.raises(OSError):
            while not deadline.passed:
                slow.sendall(b"G")
                threading.Event().wait(0.05)
    finally:
        slow.close()
        server.close()


def test_metrics_are_made_once_a_second_however_many_ask() -> None:
    made: list[float] = []
    shown = metrics.Exposition(lambda: made.append(time.monotonic()))
    begun = time.monotonic()
    threads = [threading.Thread(target=lambda: [shown.text() for _ in range(20)]) for _ in range(45)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(made) <= 1 + (time.monotonic() - begun)


def test_so_many_are_let_in_a_second_and_no_more() -> None:
    server = HealthServer("127.0.0.1", 0, lambda: True, list)
    begun = time.monotonic()
    try:
        assert {status(server.port, "/healthz") for _ in range(50)} == {200}
        assert time.monotonic() - begun > (50 - health._BURST) / health._A_SECOND - 0.1
    finally:
        server.close()

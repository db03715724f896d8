"""What connectors say they have set aside: when it is too much, and what a hostile department can do by its words."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.evidence.judge import Agreed, Sight, judge
from exchange.broker.evidence.said import Listener, Said, publish
from exchange.broker.grants.freshness import GRANTEE, PROVIDER, SET_ASIDE, BreakFreshness, RestoreFreshness
from exchange.clock import Deadline, format_time
from exchange.handover.receipt import Receipt
from exchange.handover.receipt import encode as encode_receipt
from exchange.intake.report import SourceReport, SourceState, encode
from exchange.names import DemandId, Department, GrantId, RecordType, receipt_topic, report_topic
from exchange.observe import metrics
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.service import MemoryService
from tests.unit.admission.test_admission_unit import Record

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEALTH, TAX, GRANT = Department("health"), Department("taxation"), GrantId("g-1")
DEATHS = RecordType("population.death")
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}
REPORT = SourceReport(
    "health.deaths", DEATHS, SourceState.WORKING, None, NOW, NOW, rows=400, set_aside=30, compared_at=NOW
)


@dataclass
class FakeTail:
    """Gives what was put into it, and then is at its end (or never, `endless`)."""

    records: list[Record]
    endless: bool = False

    @property
    def at_end(self) -> bool:
        return not self.records and not self.endless

    def poll(self, seconds: float) -> list[Any]:
        found, self.records[:] = list(self.records), []
        return found

    def close(self) -> None:
        """Nothing to let go of."""


class Scene:
    """A listener, and hands that write."""

    def __init__(self, endless: bool = False) -> None:
        self.tails = {"report.": FakeTail([]), "receipt.": FakeTail([], endless)}
        self.listener = Listener(lambda places: self.tails[places[0][0].partition(".")[0] + "."])

    def report(self, value: bytes | SourceReport | None, key: bytes = b"health.deaths", owner: str = HEALTH) -> None:
        if isinstance(value, SourceReport):
            key, value = encode(value)
        self.tails["report."].records.append(Record(key, value, topic_=report_topic(Department(owner))))

    def receipt(self, value: bytes | Receipt, grant: str = GRANT) -> None:
        encoded = encode_receipt(value)[1] if isinstance(value, Receipt) else value
        self.tails["receipt."].records.append(Record(b"0", encoded, topic_=receipt_topic(GrantId(grant))))

    def listen(self, now: datetime = NOW, seconds: float = 5.0) -> Said:
        topics = {report_topic(HEALTH), report_topic(TAX), receipt_topic(GRANT), "inbox.population.death.health"}
        return self.listener.listen(topics, {DEATHS}, [GRANT], now, Deadline.after(seconds))


def sets_aside(said: Said, *providers: Department) -> datetime | None:
    return said.source_sets_aside(DEATHS, providers or (HEALTH,))


@pytest.mark.parametrize(
    ("changes", "too_many"),
    [
        ({"rows": 400, "set_aside": 20}, False),
        ({"rows": 400, "set_aside": 21}, True),
        ({"rows": 0, "set_aside": 0}, False),
        ({"rows": 0, "set_aside": 1}, True),
        ({"rows": 0, "set_aside": 1, "compared_at": None}, False),
        ({"rows": 0, "set_aside": 1, "compared_at": None, "state": SourceState.STOPPED}, True),
        ({"rows": 0, "set_aside": 0, "compared_at": None, "state": SourceState.STOPPED}, True),
        ({"rows": 0, "set_aside": 0, "compared_at": None, "state": SourceState.AWAY}, False),
        ({"rows": 1, "set_aside": 0, "state": SourceState.STOPPED, "code": "E_CONNECTOR"}, False),
    ],
)
def test_more_than_a_twentieth_of_the_rows_of_the_last_whole_reading_is_too_much(
    changes: dict[str, Any], too_many: bool
) -> None:
    scene = Scene()
    scene.report(replace(REPORT, **changes))
    assert (sets_aside(scene.listen()) is not None) is too_many


@pytest.mark.parametrize(("applied", "aside", "too_many"), [(19, 1, False), (18, 1, True), (0, 1, True), (0, 0, False)])
def test_more_than_a_twentieth_of_the_records_that_a_sink_took_is_too_much(
    applied: int, aside: int, too_many: bool
) -> None:
    scene = Scene()
    scene.receipt(Receipt(0, 100, applied, 0, 0, NOW, aside))
    said = scene.listen()
    assert (said.sink_sets_aside(GRANT) is not None) is too_many
    assert (said.sinks[GRANT].taken, said.sinks[GRANT].set_aside) == (applied + aside, aside)


def test_the_partitions_of_a_sink_count_together() -> None:
    scene = Scene()
    scene.receipt(Receipt(0, 100, 0, 0, 0, NOW, 4))
    scene.receipt(Receipt(1, 100, 90, 6, 0, NOW, 0))
    assert scene.listen().sink_sets_aside(GRANT) is None


def test_too_much_counts_from_its_first_word_until_it_is_less() -> None:
    scene = Scene()
    scene.report(replace(REPORT, at=NOW - timedelta(hours=2)))
    assert sets_aside(scene.listen()) == NOW - timedelta(hours=2)
    scene.report(replace(REPORT, at=NOW))
    assert sets_aside(scene.listen()) == NOW - timedelta(hours=2)
    scene.report(replace(REPORT, set_aside=3, at=NOW))
    assert sets_aside(scene.listen()) is None
    scene.report(replace(REPORT, at=NOW + timedelta(hours=1)))
    assert sets_aside(scene.listen(NOW + timedelta(hours=1))) == NOW + timedelta(hours=1)


def test_a_word_from_the_future_counts_from_now() -> None:
    scene = Scene()
    scene.report(replace(REPORT, at=NOW + timedelta(days=900)))
    assert sets_aside(scene.listen()) == NOW


def test_a_department_hurts_only_itself_and_a_source_that_is_removed_says_nothing() -> None:
    scene = Scene()
    scene.report(REPORT, owner=TAX)
    said = scene.listen()
    assert sets_aside(said, HEALTH) is None
    assert sets_aside(said, HEALTH, TAX) == NOW
    scene.report(None, owner=TAX)
    assert sets_aside(scene.listen(), TAX) is None


def _damaged(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode(REPORT)[1]), **changes}).encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"{}",
        _damaged(set_aside=-1),
        _damaged(set_aside=True),
        _damaged(set_aside=10**400),
        _damaged(rows=1 << 60),
        _damaged(at=5),
        _damaged(at="0001-01-01T00:00:00+14:00"),
        _damaged(at="9999-12-31T23:59:59-12:00"),
        _damaged(at="9999-12-31T23:59:59Z"),
        _damaged(set_aside_since="0001-01-01T00:00:00Z"),
        _damaged(at="2026-11-24T12:00:00"),
        _damaged(connector="another"),
        _damaged(connector="x\x1b[31m"),
        _damaged(code="<script>"),
        _damaged(state="asleep"),
        _damaged(record_type="no.such-type"),
    ],
)
def test_a_report_that_is_none_says_nothing_and_stops_nobody(value: bytes) -> None:
    scene = Scene()
    scene.report(value)
    scene.report(value, key=b"x\x1b[31m")
    scene.report(REPORT, owner=TAX)
    assert [one.department for one in scene.listen().of(DEATHS, (HEALTH, TAX))] == [TAX]


@pytest.mark.parametrize(
    "changes", [{"at": "0001-01-01T00:00:00+14:00"}, {"set_aside": 10**400}, {"at": 5}, {"at": {}}, {"upserted": None}]
)
def test_a_receipt_that_is_none_says_nothing_and_stops_nobody(changes: dict[str, Any]) -> None:
    scene = Scene()
    good = json.loads(encode_receipt(Receipt(0, 1, 1, 0, 0, NOW, 1))[1])
    for value in (json.dumps({**good, **changes}).encode(), b"[" * 100_000, b"[]"):
        scene.receipt(value)
    assert scene.listen().sinks == {}


def test_a_department_that_makes_up_connectors_takes_no_memory() -> None:
    scene = Scene()
    for number in range(1_000):
        scene.report(replace(REPORT, connector=f"health.c{number}"))
    assert len(scene.listen().of(DEATHS, (HEALTH,))) == 100


def test_a_department_that_writes_without_pause_does_not_stop_evidence() -> None:
    scene = Scene(endless=True)
    scene.report(REPORT)
    scene.receipt(Receipt(0, 1, 0, 0, 0, NOW, 1))
    said = scene.listen(seconds=0.05)
    assert not said.whole
    assert said.sink_sets_aside(GRANT) == NOW


def test_metrics_show_what_is_set_aside_on_both_sides() -> None:
    scene = Scene()
    scene.report(REPORT)
    scene.report(replace(REPORT, connector="health.old", state=SourceState.STOPPED, code="E_CONNECTOR", set_aside=2))
    scene.receipt(Receipt(0, 100, 10, 0, 0, NOW, 7))
    publish(scene.listen(), {GRANT: (TAX, DEATHS)})
    assert metrics.REPORTED_SET_ASIDE.read() == {(HEALTH, DEATHS, "source"): 32, (TAX, DEATHS, "sink"): 7}
    assert metrics.REPORTED_SOURCES.read() == {(HEALTH, DEATHS, "working"): 1, (HEALTH, DEATHS, "stopped"): 1}


# what it means for a grant

AGREED = Agreed(timedelta(hours=1), timedelta(days=1))


def sight(**changes: Any) -> Sight:
    whole: dict[str, Any] = {"ends": {0: 1}, "committed": {0: 1}, "untaken": {}, "stood": {0: 1}, "began_empty": False}
    whole |= {"exchange_behind": timedelta(), "suspended_since": None, "source_seen": NOW}
    return Sight(**(whole | changes))


def test_a_grant_is_in_breach_by_the_side_that_sets_aside_too_much() -> None:
    verdict = judge(sight(source_sets_aside=NOW), AGREED, NOW)
    assert (dict(verdict.broken), verdict.set_aside) == ({PROVIDER: NOW}, {PROVIDER})
    verdict = judge(sight(sink_sets_aside=NOW), AGREED, NOW)
    assert (dict(verdict.broken), verdict.set_aside) == ({GRANTEE: NOW}, {GRANTEE})


@pytest.mark.parametrize("hours", [25, 40])
def test_a_breach_for_two_reasons_is_one_that_begins_with_the_first(hours: int) -> None:
    silent, aside = NOW - timedelta(hours=hours), NOW - timedelta(hours=5)
    verdict = judge(sight(source_seen=silent, source_sets_aside=aside), AGREED, NOW)
    assert dict(verdict.broken) == {PROVIDER: min(aside, silent + AGREED.update_cycle)}
    assert verdict.set_aside == frozenset()


@pytest.fixture
def running_grant() -> tuple[MemoryLedger, GrantId]:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    asked = SubmitDemand(
        demander=TAX, resource="102001/0001", fields=("credit_code",), **STATED, schemas=service.schemas
    )
    demand = DemandId(service.ledger.execute(asked).entities[0])
    service.ledger.execute(ConsentDemand(demand=demand, by=Department("market-regulation"), schemas=service.schemas))
    (grant,) = service.ledger.state.demands[demand].grants
    return service.ledger, grant


def flat(events: Iterable[Any]) -> list[dict[str, Any]]:
    return [dict(one.data) for one in events]


def test_the_ledger_says_why_when_it_is_what_was_set_aside(running_grant: tuple[MemoryLedger, GrantId]) -> None:
    ledger, grant = running_grant
    before = len(ledger.events)
    ledger.execute(BreakFreshness(grant, PROVIDER, NOW, SET_ASIDE))
    assert ledger.state.grants[grant].breaches[PROVIDER].reason == SET_ASIDE
    ledger.execute(BreakFreshness(grant, PROVIDER, NOW))
    ledger.execute(RestoreFreshness(grant, PROVIDER))
    ledger.execute(BreakFreshness(grant, PROVIDER, NOW))
    told = {"grant": grant, "cause": PROVIDER, "since": format_time(NOW)}
    assert flat(ledger.events[before:]) == [{**told, "reason": SET_ASIDE}, told, told]

"""What a sink's line does with the records that its table has refused."""

import json
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from exchange.errors import ExchangeError
from exchange.faults.fold import Fault
from exchange.faults.log import Faults, item_of
from exchange.handover import set_aside
from exchange.handover.decode import Faulty
from exchange.handover.granted import Owner
from exchange.handover.grants import ActiveGrant
from exchange.handover.health import SinkHealth
from exchange.handover.patience import Patience
from exchange.handover.report import Reporter
from exchange.handover.set_aside import SetAside
from exchange.handover.table.batch import AppliedAgain
from exchange.handover.table.progress import Progress
from exchange.handover.table.set_aside import SetAsideRecord
from exchange.names import Department, GrantId, RecordType, SchemaId, TopicName
from exchange.observe import metrics
from exchange.observe.condition import Condition
from tests.harness.memory.ledger import SetClock

TYPE = RecordType("legal-entity.registration")
CONNECTOR = "taxation.companies"
GRANT = ActiveGrant(GrantId("g-1"), Department("market-regulation"), TopicName("share.s-1"), "g", SchemaId(1), False)
OWNER = Owner(Department("taxation"), TYPE, GRANT, CONNECTOR)


class Table:
    """Gives what a test says, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.next = AppliedAgain()
        self.waiting: dict[int, int] = {}
        self.since: datetime | None = None
        self.next_offset = 8

    def apply_again(self, _grant: GrantId, _now: datetime, all: bool = False) -> AppliedAgain:
        self.asked.append(all)
        done, self.next = self.next, AppliedAgain(waiting=self.next.waiting)
        return done

    def set_aside(self, _grant: GrantId) -> dict[int, int]:
        return self.waiting

    def stored(self, _grant: GrantId) -> dict[int, Progress]:
        return {0: Progress(next_offset=self.next_offset)}

    def oldest(self, _grant: GrantId) -> datetime | None:
        return self.since


class Letters:
    """A producer that keeps what it is given, and is away when told so."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.away = False

    def send(self, topic: str, _key: bytes | None, value: bytes) -> None:
        if self.away:
            raise ExchangeError("E_KAFKA_UNREACHABLE")
        self.sent.append((topic, json.loads(value)))

    def flush(self, _deadline: object) -> None: ...


class Scene:
    """A line's part on what waits, over a table and a Kafka that are none."""

    def __init__(self) -> None:
        self.table, self.letters, self.clock = Table(), Letters(), SetClock()
        self.listed: Sequence[SetAsideRecord] = ()
        self.told: Sequence[Fault] = ()
        self.reporter = Reporter(OWNER, Faults(CONNECTOR, TYPE), self.letters)  # type: ignore[arg-type]
        self.line = SetAside(OWNER, self.table, lambda: self.listed, lambda: self.told, self.reporter)  # type: ignore[arg-type]
        self.patience = Patience(SinkHealth(CONNECTOR, Condition(), self.clock), threading.Event())

    def look(self, at_rest: bool = True, whole: bool = False) -> bool:
        return self.line.look(self.patience, self.clock, at_rest, whole)

    def settled(self) -> list[tuple[str, str]]:
        return [(fault["item"], fault["settled"]) for _, fault in self.letters.sent if "settled" in fault]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(set_aside, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(set_aside, "_NEXT_PORTION_SECONDS", 0.0)
    return Scene()


def item(key: str) -> str:
    return item_of(CONNECTOR, key)


def test_what_waits_is_tried_from_the_first_rest_on(scene: Scene) -> None:
    assert not scene.look(at_rest=False)
    assert scene.table.asked == []
    scene.look()
    scene.look(at_rest=False)
    assert scene.table.asked == [False, False]


def test_a_sink_that_runs_once_leaves_nothing_untried(scene: Scene) -> None:
    scene.look(whole=True)
    assert scene.table.asked == [True]


def test_a_share_that_never_rests_does_not_keep_what_waits_from_being_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(set_aside, "_LONGEST_WAIT_SECONDS", 0.0)
    never_at_rest = Scene()
    never_at_rest.look(at_rest=False)
    assert never_at_rest.table.asked == [False]


def test_what_was_applied_or_replaced_is_settled_under_the_name_that_it_was_set_aside_by(scene: Scene) -> None:
    error = ExchangeError("E_APPLY", "amount: 3 decimals, the column keeps 2")
    scene.reporter.faults([Faulty(0, 7, b"A", error), Faulty(1, 9, b"B", error)], scene.clock.now())
    items = [fault["item"] for _, fault in scene.letters.sent]
    scene.table.next = AppliedAgain(applied=(b"A",), replaced=(b"B",))
    assert scene.look()
    assert scene.settled() == [(items[0], "applied"), (items[1], "replaced")]


def test_a_record_without_a_key_has_the_name_of_its_place(scene: Scene) -> None:
    scene.reporter.faults([Faulty(0, 7, None, ExchangeError("E_SHARE_DECODE"))], scene.clock.now())
    assert scene.letters.sent[0][1]["item"] == item("0/7")


def test_what_could_not_be_told_is_told_the_next_time(scene: Scene) -> None:
    scene.table.next = AppliedAgain(applied=(b"A",))
    scene.letters.away = True
    with pytest.raises(ExchangeError):
        scene.look()
    scene.letters.away = False
    scene.look()
    scene.look()
    assert scene.settled() == [(item("A"), "applied")]


def test_what_waits_is_a_metric_with_the_age_of_the_oldest(scene: Scene) -> None:
    scene.table.waiting, scene.table.since = {0: 2, 1: 1}, scene.clock.now()
    assert scene.line.counts(scene.patience) == {0: 2, 1: 1}
    assert metrics.SET_ASIDE.read()["taxation", CONNECTOR] == 3
    assert metrics.SET_ASIDE_SINCE.read()["taxation", CONNECTOR] == scene.clock.now().timestamp()
    scene.table.waiting, scene.table.since = {}, None
    scene.line.counts(scene.patience)
    assert metrics.SET_ASIDE.read()["taxation", CONNECTOR] == 0
    assert ("taxation", CONNECTOR) not in metrics.SET_ASIDE_SINCE.read()


def test_what_waits_for_weeks_is_told_again_each_week_because_the_log_forgets(scene: Scene) -> None:
    since = scene.clock.now()
    mine = SetAsideRecord(GRANT.grant, "A", 0, 7, "E_APPLY", "no parent", since, 3)
    of_another = SetAsideRecord(GrantId("g-2"), "B", 0, 8, "E_APPLY", "no parent", since, 3)
    scene.listed = (mine, of_another)
    scene.table.next = AppliedAgain(waiting=1)
    told = []
    for _ in range(24 * 29):
        scene.look()
        told += [(fault["item"], fault["offset"]) for _, fault in scene.letters.sent]
        scene.letters.sent.clear()
        scene.clock.forward(hours=1)
    assert told == [(item("A"), 7)] * 4


def open_in_log(key: str, place: str = "share.s-1, partition 0, offset 7", code: str = "E_APPLY") -> Fault:
    at = SetClock().now()
    return Fault(item(key), CONNECTOR, TYPE, "handover.apply", code, "", place, at, at, None, True, 0)


def test_what_is_open_in_the_log_and_waits_in_no_table_is_told_to_be_cleared(scene: Scene) -> None:
    scene.told = (
        open_in_log("A"),
        open_in_log("B"),
        open_in_log("of a former share", "share.s-0, partition 0, offset 70"),
    )
    scene.listed = (SetAsideRecord(GRANT.grant, "A", 0, 7, "E_APPLY", "no parent", scene.clock.now(), 3),)
    scene.look()
    assert scene.settled() == [(item("B"), "cleared"), (item("of a former share"), "cleared")]
    scene.letters.sent.clear()
    scene.look()
    assert scene.settled() == []
    scene.clock.forward(hours=24)
    scene.look()
    assert len(scene.settled()) == 2


def test_what_another_process_may_just_be_setting_aside_is_not_told_to_be_cleared(scene: Scene) -> None:
    scene.table.next_offset = 7
    scene.told = (open_in_log("A"), open_in_log("B", "share.s-1, partition 1, offset 0"))
    scene.look()
    assert scene.settled() == []


def test_what_never_became_a_change_stays_open_in_the_log(scene: Scene) -> None:
    scene.told = (open_in_log("A", code="E_SHARE_DECODE"), open_in_log("B", "a row of a source"))
    scene.look()
    assert scene.settled() == []

"""A share that is made late gets the present, then the future; what fails a share does not fail the others."""

from dataclasses import replace

import pytest

from exchange.delivery.state import Backfilling, Counts
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition
from exchange.observe import metrics
from tests.harness.memory.delivery import STATE, DeliveryMemory, company, share_entry

CITY = (Condition("region", "equals", ("340100",)),)


def with_past(**options):
    """A registry with two companies of today, one of them replaced before, and one that was withdrawn."""
    bus = DeliveryMemory(**options)
    bus.take(("a", company("a", "old")), ("b", company("b")), ("gone", company("gone")))
    bus.take(("a", company("a", "new")), ("gone", None), ("~", None))
    bus.mark()
    return bus


@pytest.mark.parametrize("personal", [False, True])
def test_late_share_gets_the_present_and_then_the_future(personal):
    bus = with_past(personal=personal)
    bus.want(share_entry())
    bus.settle()
    bus.take(("b", company("b", "later")), ("a", None))
    names = [(key, record and record["name"]) for key, record in bus.delivered()]
    assert names == [("b", "n"), ("a", "new"), ("b", "later"), ("a", None)]


def test_what_was_replaced_or_withdrawn_before_is_not_counted():
    bus = with_past()
    bus.want(share_entry())
    bus.settle()
    assert bus.counts() == Counts(taken=3, forwarded=2, out_of_scope=1)
    assert bus.state.joins["s"].backfilled == 2


def test_in_flight_is_rebased_in_the_transaction_that_joins():
    bus = with_past()
    bus.want(share_entry())
    bus.settle()
    admitted = bus.state.taken
    assert admitted - bus.state.joins["s"].taken - bus.counts().taken == 0
    bus.take(("c", company("c")))
    assert admitted + 1 - bus.state.joins["s"].taken - bus.counts().taken == 0


def test_share_joins_an_empty_registry_at_once():
    bus = DeliveryMemory()
    bus.want(share_entry())
    bus.send([])
    assert bus.state.joins["s"].joined == 0
    assert not bus.unit.pending()


def test_share_joins_where_markers_and_gaps_stand_before_the_end():
    bus = with_past()
    bus.compact()
    bus.mark()
    bus.want(share_entry())
    bus.send([])
    assert bus.state.joins["s"].joined == bus.state.totals.next


def test_shares_that_wait_together_read_once_and_latecomers_wait_for_the_next_reading():
    bus = with_past(most=2)
    opened = []
    reread = bus.parts.reread
    bus.parts = replace(bus.parts, reread=lambda *arguments: opened.append(arguments) or reread(*arguments))
    bus.restart()
    bus.want(share_entry("s"), share_entry("t2"))
    bus.send([])
    bus.want(share_entry("s"), share_entry("t2"), share_entry("u33"))
    bus.settle()
    assert len(opened) == 2
    assert bus.delivered("s") == bus.delivered("t2") == bus.delivered("u33")
    assert set(bus.state.joins) == {"s", "t2", "u33"}


def test_live_shares_go_on_while_another_is_backfilled(monkeypatch):
    monkeypatch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
    bus = DeliveryMemory(most=1)
    bus.want(share_entry("t2"))
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(9)))
    bus.want(share_entry(), share_entry("t2"))
    bus.send([])
    for number in range(3):
        assert "s" in bus.state.backfills
        bus.send(bus.write((f"k{number}", company(f"k{number}", "live"))))
        assert bus.delivered("t2")[-1][1]["name"] == "live"
    bus.settle()
    assert bus.delivered()[-3:] == bus.delivered("t2")[-3:]
    assert len(bus.delivered()) == 9 + 3


def test_place_of_a_backfill_is_written_with_what_it_sent(monkeypatch):
    monkeypatch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
    bus = DeliveryMemory(most=1)
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(5)))
    bus.want(share_entry())
    bus.send([])
    bus.send([])
    assert bus.state.backfills["s"] == Backfilling(1, 2, 5, 2)
    assert (bus.state.backfills["s"].remaining, bus.state.backfills["s"].percent) == (3, 40.0)
    bus.parts.metrics._published = None
    bus.parts.metrics.publish()
    assert (metrics.BACKFILL.read()[("s",)], metrics.BACKFILL_REMAINING.read()[("s",)]) == (2, 3)
    bus.settle()
    assert len(bus.delivered()) == 5


def test_backfill_goes_on_after_a_restart_where_it_was(monkeypatch):
    monkeypatch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
    bus = DeliveryMemory(most=1)
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(6)))
    bus.want(share_entry())
    bus.send([])
    bus.send([], commit=lambda: False)
    bus.send([])
    bus.restart()
    bus.write(("k0", None), ("k5", None))
    bus.settle()
    names = [(key, record is None) for key, record in bus.delivered()]
    assert names == [*((f"k{number}", False) for number in range(5)), ("k0", True)]
    assert bus.counts().difference == 0


def test_share_waits_until_the_live_flow_is_beyond_what_stood_there_at_the_grant():
    bus = DeliveryMemory(personal=True)
    bus.take(("a", company("a")))
    behind = bus.write(("b", company("b")), ("b", None), ("c", company("c", "old")), ("c", company("c", "new")))
    bus.want(share_entry())
    bus.send([])
    bus.send([])
    assert bus.state.backfills["s"].remaining > 0
    assert not bus.unit.pending()
    bus.send(behind)
    assert [(key, record["name"]) for key, record in bus.delivered()] == [("a", "n"), ("c", "new")]
    assert "s" in bus.state.joins


def test_joined_share_that_is_not_scoped_forgets_who_holds_what():
    bus = with_past()
    bus.want(share_entry(), share_entry("city", scope=CITY))
    bus.settle()
    kept = bus.unit._state.joins["city"].number
    assert {number for number, held in bus.unit._state.held.items() if held} == {kept}
    bus.restart()
    bus.send([])
    assert {number for number, held in bus.unit._state.held.items() if held} == {kept}


def test_suspended_share_takes_up_where_it_was_when_the_ledger_says_it_is_mended():
    bus = DeliveryMemory()
    bus.want(share_entry(), share_entry("city", scope=CITY), share_entry("others"))
    bus.take(("a", company("a")), ("b", company("b")), ("c", company("c")))
    bus.restart(["share.s", "share.city"])
    bus.take(("a", None), ("b", company("b", "new", "350000")), ("d", company("d")), ("d", None))
    bus.take(("c", company("c", "1")), ("c", company("c", "2")))
    bus.want(share_entry(recoveries=1), share_entry("city", scope=CITY, recoveries=1), share_entry("others"))
    bus.settle()
    assert dict(bus.delivered("city")[3:]) == {
        "a": None,
        "b": None,
        "c": {"code": "c", "name": "2"},
    }
    assert [key for key, _ in bus.delivered()[3:]] == ["a", "b", "d", "c"]
    for share in ("s", "city", "others"):
        joined, books = bus.state.joins[share], bus.counts(share)
        assert (joined.suspended, books.difference) == (None, 0)
        assert bus.state.taken - joined.taken - books.taken == 0
    assert (bus.state.joins["s"].recoveries, bus.state.joins["others"].recoveries) == (1, 0)


def test_mended_share_that_fails_again_waits_for_the_next_order():
    bus = DeliveryMemory()
    bus.want(share_entry())
    bus.take(("a", company("a")))
    bus.restart(["share.s"])
    bus.settle()
    bus.want(share_entry(recoveries=1))
    bus.restart(["share.s"])
    bus.settle()
    assert (bus.state.backfills["s"].suspended, bus.state.backfills["s"].recoveries) == ("E_SHARE_UNWRITABLE", 1)
    bus.take(("b", company("b")))
    bus.want(share_entry(recoveries=2))
    bus.settle()
    assert [key for key, _ in bus.delivered()] == ["a", "b"]


def test_share_that_never_failed_notes_the_order_all_the_same():
    bus = DeliveryMemory()
    bus.want(share_entry())
    bus.settle()
    bus.want(share_entry(recoveries=1))
    bus.take(("a", company("a")))
    assert bus.state.joins["s"].recoveries == 1
    assert len(bus.delivered()) == 1


def test_refused_topic_suspends_its_share_in_the_middle_of_a_backfill(monkeypatch):
    monkeypatch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
    bus = DeliveryMemory(most=1)
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(5)))
    bus.want(share_entry(), share_entry("t2"))
    bus.send([])
    bus.restart(["share.s"])
    bus.settle()
    assert bus.state.backfills["s"].suspended == "E_SHARE_UNWRITABLE"
    assert len(bus.delivered("t2")) == 5
    bus.take(("k0", None))
    bus.want(share_entry(recoveries=1), share_entry("t2"))
    bus.settle()
    assert [(key, record is None) for key, record in bus.delivered()] == [
        *((f"k{number}", False) for number in range(5)),
        ("k0", True),
    ]


def test_share_that_is_deleted_in_the_middle_of_a_backfill_leaves(monkeypatch):
    monkeypatch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
    bus = DeliveryMemory(most=1)
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(5)))
    bus.want(share_entry(), share_entry("t2"))
    bus.send([])
    bus.want(share_entry("t2"))
    bus.settle()
    assert not bus.state.has("s")
    assert len(bus.delivered("t2")) == 5


def test_registry_that_cannot_be_read_again_fails_the_transaction_not_the_question():
    bus = with_past()

    class Broken:
        reached, at_end = 0, False

        def seek(self, start):
            return None

        def fetch(self, limit):
            raise ExchangeError("E_KAFKA", "reading")

        def close(self):
            return None

    bus.parts = replace(bus.parts, reread=lambda *arguments: Broken())
    bus.restart()
    bus.want(share_entry())
    bus.unit.process([], bus)
    assert bus.unit.pending()
    with pytest.raises(ExchangeError, match="E_KAFKA"):
        bus.unit.seal(bus)


def test_nobody_waiting_costs_no_transaction_and_no_state_record():
    bus = DeliveryMemory()
    bus.want(share_entry())
    bus.take(("a", company("a")))
    before = len([topic for topic, *_ in bus.records if topic == STATE])
    assert not bus.unit.pending()
    bus.take(("a", company("a", "new")))
    assert len([topic for topic, *_ in bus.records if topic == STATE]) == before + 2  # totals and books

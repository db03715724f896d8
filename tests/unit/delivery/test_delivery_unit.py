"""One unit of the delivery line, without Kafka below it: what it forwards, retracts, counts and remembers."""

import pytest

from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.state import Counts
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition
from exchange.record import frame, source_of
from tests.harness.memory.delivery import STATE, Consumed, company, share_entry
from tests.harness.memory.delivery import DeliveryMemory as Bus

CITY = (Condition("region", "equals", ("340100",)),)
share = share_entry


def test_granted_fields_and_nothing_else_arrive():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a")), ("b", company("b")))
    assert bus.delivered() == [("a", {"code": "a", "name": "n"}), ("b", {"code": "b", "name": "n"})]
    assert bus.counts() == Counts(taken=2, forwarded=2)


def test_headers_of_a_clear_share_are_those_of_the_registry():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a")))
    (headers,) = [headers for topic, *_, headers in bus.records if topic == "share.s"]
    assert [name for name, _ in headers] == ["ce_id", "ce_source", "ce_time"]


def test_record_of_another_provider_is_out_of_scope():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a"), source_of("civil-affairs")), ("a", None, source_of("civil-affairs")))
    assert bus.delivered() == []
    assert bus.counts() == Counts(taken=2, out_of_scope=2)


def test_withdrawal_reaches_an_unscoped_share():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a")), ("a", None))
    assert bus.delivered()[-1] == ("a", None)
    assert bus.counts() == Counts(taken=2, forwarded=1, retracted=1)


def test_withdrawal_of_what_a_scoped_share_never_held_is_not_told():
    bus = Bus()
    bus.want(share(scope=CITY))
    bus.take(("a", company("a", region="340200")), ("a", None))
    assert bus.delivered() == []
    assert bus.counts() == Counts(taken=2, out_of_scope=2)


def test_record_that_leaves_the_scope_is_retracted_once():
    bus = Bus()
    bus.want(share(scope=CITY))
    bus.take(("a", company("a")), ("a", company("a", region=None)), ("a", company("a", region="3401")), ("a", None))
    assert [record is None for _, record in bus.delivered()] == [False, True]
    assert bus.counts() == Counts(taken=4, forwarded=1, retracted=1, out_of_scope=2)


def test_holding_survives_a_restart():
    bus = Bus()
    bus.want(share(scope=CITY))
    bus.take(("a", company("a")), ("b", company("b")))
    bus.restart()
    bus.take(("a", None), ("b", company("b", region="350000")))
    assert bus.delivered()[2:] == [("a", None), ("b", None)]
    assert bus.counts() == Counts(taken=4, forwarded=2, retracted=2)
    assert bus.state.held.get(1, {}) == {}


def test_holding_is_written_only_when_it_changes():
    bus = Bus()
    bus.want(share(scope=CITY))
    bus.take(("a", company("a")))
    before = len([key for topic, _, key, _ in bus.records if key.startswith(b"h|")])
    bus.take(("a", company("a", name="other")))
    assert before == 1
    assert len([key for topic, _, key, _ in bus.records if key.startswith(b"h|")]) == 1


def test_change_that_touches_no_granted_field_of_a_person_is_not_told():
    bus = Bus(personal=True)
    bus.want(share(fields=("code",)))
    bus.take(("a", company("a")), ("a", company("a", name="other")))
    bus.restart()
    bus.take(("a", company("a", name="third")))
    assert bus.delivered() == [("a", {"code": "a"})]
    assert bus.counts() == Counts(taken=3, forwarded=1, unchanged=2)


def test_person_who_comes_back_after_a_withdrawal_is_told():
    bus = Bus(personal=True)
    bus.want(share(fields=("code",)))
    bus.take(("a", company("a")), ("a", None), ("a", company("a")))
    assert [record is None for _, record in bus.delivered()] == [False, True, False]


def test_nobody_learns_of_a_person_that_was_withdrawn_before_the_grant():
    bus = Bus(personal=True)
    bus.take(("a", company("a")), ("a", None))
    bus.want(share(fields=("code",)))
    bus.settle()
    assert bus.delivered() == []
    assert bus.counts() == Counts(taken=1, out_of_scope=1)


def test_pseudonymous_share_holds_no_key_no_id_and_no_value():
    bus = Bus()
    bus.want(share(fields=("code", "region"), masks=(("code", "pseudonym"),), pseudonymous=True))
    bus.take(("91340100X", company("91340100X")), ("91340100X", None))
    (first, record), (second, gone) = bus.delivered()
    assert first == second == record["code"] != "91340100X"
    assert gone is None
    assert all(("ce_id", b"id") not in headers for topic, _, _, headers in bus.records if headers)


def test_heartbeat_reaches_every_share_and_is_never_counted():
    bus = Bus(full=True)
    bus.want(share(), share("hidden", ("code",), masks=(("code", "pseudonym"),), scope=CITY, pseudonymous=True))
    bus.take(("~", None), ("a", company("a")), ("~", None))
    bus.take(("~", None))
    assert bus.delivered() == [("~", None), ("a", {"code": "a", "name": "n"}), ("~", None), ("~", None)]
    assert bus.counts() == Counts(taken=1, forwarded=1)
    assert [key for key, _ in bus.delivered("hidden")].count("~") == 3
    assert bus.counts("hidden") == Counts(taken=1, forwarded=1)
    assert (bus.state.totals.taken, bus.state.totals.next) == (1, 4)


def test_state_forgets_a_withdrawn_key_that_only_a_share_that_left_has_held():
    bus = Bus(personal=True)
    bus.want(share())
    bus.take(("a", company("a")), ("b", company("b")))
    bus.want()
    bus.settle()
    bus.restart()
    bus.take(("a", None))
    last = {key: value for topic, value, key, _ in bus.records if topic == STATE}
    assert last[b"h|a"] is None
    assert last[b"h|b"] is not None


def test_old_and_new_versions_of_the_schema_go_to_the_same_share():
    bus = Bus()
    bus.want(share(fields=("code", "status")))
    bus.settle()
    messages = bus.write(("a", company("a")))
    messages += bus.write(("b", company("b") | {"status": "open"}), schema=2)
    bus.send(messages + bus.write(("c", company("c"))))
    assert [record["status"] for _, record in bus.delivered()] == [None, "open", None]
    assert bus.counts() == Counts(taken=3, forwarded=3)


def test_what_the_state_says_is_taken_is_not_taken_again():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a")), ("b", company("b")))
    bus.write(("c", company("c")))
    bus.send(bus.registry[1:])
    assert [key for key, _ in bus.delivered()] == ["a", "b", "c"]


@pytest.mark.parametrize("value", [frame(9) + b"x", b"\x01junk", frame(1) + b"\x08ab"])
def test_damaged_registry_record_stops_the_unit(value):
    bus = Bus()
    bus.want(share())
    bus.settle()
    with pytest.raises(ExchangeError, match="E_REGISTRY_DAMAGED") as caught:
        bus.send([Consumed(0, b"secret-key", value)])
    assert "secret" not in str(caught.value)


def test_share_that_left_the_ledger_is_let_go():
    bus = Bus()
    bus.want(share(), share("t"))
    bus.take(("a", company("a")))
    bus.want(share("t"))
    bus.take(("b", company("b")))
    assert [topic for topic, *_ in bus.records if topic.startswith("share.")] == ["share.s", "share.t", "share.t"]
    assert set(bus.state.joins) == {"t"}
    assert bus.counts("s") == Counts(taken=1, forwarded=1)


def test_owner_that_knows_less_of_the_ledger_than_the_last_one_waits():
    bus = Bus()
    bus.want(share(), share("t"))
    bus.take(("a", company("a")))
    bus.plan.wanted = {"s": bus.plan.wanted["s"]}
    bus.restart()
    with pytest.raises(ExchangeError, match="E_UNIT_REBUILT"):
        bus.take(("b", company("b")))
    assert set(bus.state.joins) == {"s", "t"}


def test_refused_topic_suspends_its_share_alone():
    bus = Bus()
    bus.want(share(), share("t"))
    bus.take(("a", company("a")))
    bus.restart(["share.s"])
    bus.take(("b", company("b")))
    bus.restart()
    bus.take(("c", company("c")))
    assert [key for key, _ in bus.delivered("s")] == ["a"]
    assert [key for key, _ in bus.delivered("t")] == ["a", "b", "c"]
    assert (bus.state.joins["s"].suspended, bus.state.joins["s"].stopped) == ("E_SHARE_UNWRITABLE", 1)
    assert (bus.counts("s").difference, bus.counts("t").difference) == (0, 0)


def test_unfit_terms_leave_one_share_out():
    bus = Bus()
    bus.want(share(scope=(Condition("region", "like", ("x",)),)), share("t"))
    bus.take(("a", company("a")))
    assert set(bus.state.joins) == {"t"}
    assert bus.state.backfills["s"].suspended == "E_SHARE_TERMS"
    assert len(bus.delivered("t")) == 1


@pytest.mark.parametrize("terms", [{"fields": ("name",)}, {"masks": (("code", "first"),)}])
def test_key_that_is_not_granted_in_clear_never_leaves_in_clear(terms):
    bus = Bus()
    bus.want(share(**terms), share("t", **terms, pseudonymous=True))
    bus.take(("a", company("a")))
    assert bus.delivered() == []
    assert [key == "a" for key, _ in bus.delivered("t")] == [False]


def test_missing_master_secret_suspends_only_the_shares_that_need_it():
    bus = Bus(master=MasterSecret())
    bus.want(share(pseudonymous=True), share("t"))
    bus.take(("a", company("a")))
    assert bus.state.backfills["s"].suspended == "E_MASTER_SECRET"
    assert len(bus.delivered("t")) == 1
    assert bus.delivered() == []


def test_nothing_is_lost_when_the_client_is_full():
    bus = Bus(full=True)
    bus.want(share(), share("t", scope=CITY))
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(20)), ("k3", None))
    assert [key for key, _ in bus.delivered()] == [f"k{number}" for number in range(20)] + ["k3"]
    assert bus.counts("t") == Counts(taken=21, forwarded=20, retracted=1)

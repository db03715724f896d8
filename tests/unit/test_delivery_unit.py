"""One unit of the delivery line, without Kafka below it: what it forwards, retracts, counts and remembers."""

import io
from collections.abc import Mapping
from typing import Any

import fastavro
import pytest

from exchange.avro.subset import subset_schema
from exchange.clock import SystemClock
from exchange.delivery.line import DeliveryUnit, Parts
from exchange.delivery.pseudonym import MasterSecret
from exchange.delivery.report import Report
from exchange.delivery.state import Counts, UnitState
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.connection import Connection
from exchange.kafka.unit import UnitId
from exchange.ledger.state import Condition, ShareEntry, Terms
from exchange.record import frame, source_of

TYPE = "legal-entity.registration"
STATE = f"exchange.delivery.{TYPE}"
FIRST = {
    "type": "record",
    "name": "Registration",
    "naturalKey": ["code"],
    "fields": [
        {"name": "code", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "region", "type": ["null", "string"], "default": None},
    ],
}
SECOND = {**FIRST, "fields": [*FIRST["fields"], {"name": "status", "type": ["null", "string"], "default": None}]}
IDS = {1: FIRST, 2: SECOND}
SOURCE = source_of("market-regulation")
CITY = (Condition("region", "equals", ("340100",)),)
MASTER = MasterSecret({1: b"m" * 32})


class Record:
    def __init__(self, offset: int, key: bytes, value: bytes | None, source: bytes) -> None:
        self._offset, self._key, self._value, self._source = offset, key, value, source

    def topic(self):
        return f"registry.{TYPE}"

    def partition(self):
        return 3

    def offset(self):
        return self._offset

    def key(self):
        return self._key

    def value(self):
        return self._value

    def headers(self):
        return [("ce_id", b"id"), ("ce_source", self._source), ("ce_time", b"2026-11-24T00:00:00Z")]

    def timestamp(self):
        return 2, 1_764_000_000_000


class Plan:
    """What the ledger wants, without a ledger."""

    def __init__(self) -> None:
        self.wanted: Mapping[str, ShareEntry | None] = {}

    def poll(self):
        return None

    def record_types(self):
        return frozenset([TYPE])

    def shares(self, record_type):
        return self.wanted


class Bus:
    """A unit between its registry and its outputs; `full` refuses every other produce once."""

    def __init__(self, personal: bool = False, full: bool = False) -> None:
        connection = Connection("nowhere:1", "SASL_SSL", "SCRAM-SHA-512", "exchange-delivery", None, "")
        self.plan = Plan()
        self.parts = Parts(connection, self.plan, {TYPE: Writers(personal, IDS)}, MASTER, Report(SystemClock()))
        self.records: list[tuple[Any, ...]] = []
        self.state = UnitState()
        self.offset = 0
        self._full, self._calls = full, 0
        self.restart()

    def restart(self, refused: frozenset[str] = frozenset()) -> None:
        self.unit = DeliveryUnit(UnitId(TYPE, 3), self.parts, lambda topic: topic not in refused)
        for topic, value, key, *_ in self.records:
            if topic == STATE:
                self.unit._state.apply(key, value)
        self.unit._state.forget_strangers()

    def want(self, *shares: ShareEntry) -> None:
        self.plan.wanted = dict.fromkeys(self.plan.wanted) | {share.share: share for share in shares}

    def produce(self, topic, value, key, partition, headers=None):
        self._calls += 1
        if self._full and self._calls % 2:
            raise BufferError
        assert partition == 3
        self.records.append((topic, value, key, headers))
        if topic == STATE:
            self.state.apply(key, value)

    def poll(self, seconds=0):
        return None

    def take(self, *records: tuple[str, dict[str, Any] | None] | tuple[Any, ...], schema: int = 1) -> None:
        """One transaction with records (key, record or None[, source])."""
        messages = []
        for key, record, *source in records:
            value = None if record is None else frame(schema) + encode(IDS[schema], record)
            messages.append(Record(self.offset, key.encode(), value, source[0] if source else SOURCE))
            self.offset += 1
        self.send(messages)

    def send(self, messages) -> None:
        self.unit.process(messages, self)
        self.unit.seal(self)
        self.unit.committed()

    def delivered(self, share: str = "s") -> list[tuple[str, dict[str, Any] | None]]:
        entry = self.plan.wanted.get(share)
        found = []
        for topic, value, key, _ in self.records:
            if topic == f"share.{share}":
                assert value is None or value[:5] == frame(entry.schema_id)
                found.append((key.decode(), None if value is None else decode(entry.schema, value[5:])))
        return found

    def counts(self, share: str = "s") -> Counts:
        return self.state.counts[share]


def encode(schema, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def decode(schema, body):
    return fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(schema))


def share(name: str = "s", fields=("code", "name"), **terms: Any) -> ShareEntry:
    cut = Terms(TYPE, terms.pop("provider", "market-regulation"), tuple(fields), **terms)
    schema = subset_schema(SECOND, fields, dict(cut.masks), "Share")
    return ShareEntry(name, cut, 100_000 + len(name), schema, 1, SystemClock().now())


def company(code: str, name: str = "n", region: str | None = "340100") -> dict[str, Any]:
    return {"code": code, "name": name, "region": region}


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
    assert [name for name, _ in bus.records[0][3]] == ["ce_id", "ce_source", "ce_time"]


def test_record_of_another_provider_is_out_of_scope():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a"), source_of("civil-affairs")), ("a", None, source_of("civil-affairs")))
    assert bus.delivered() == []
    assert bus.counts() == Counts(taken=2, out_of_scope=2)


def test_records_before_the_join_are_not_delivered():
    bus = Bus()
    bus.take(("a", company("a")), ("b", company("b")))
    bus.want(share())
    assert bus.unit.pending()
    bus.send([])
    assert not bus.unit.pending()
    assert (bus.state.joins["s"].joined, bus.state.joins["s"].taken) == (2, 2)
    bus.take(("c", company("c")))
    assert [key for key, _ in bus.delivered()] == ["c"]
    assert bus.counts() == Counts(taken=1, forwarded=1)
    assert bus.state.taken == 3


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
    bus.take(("a", company("a")))
    bus.want(share(fields=("code",)))
    bus.take(("a", None))
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
    bus.plan.wanted = {"s": None}
    bus.send([])
    bus.restart()
    bus.take(("a", None))
    last = {key: value for topic, value, key, _ in bus.records if topic == STATE}
    assert last[b"h|a"] is None
    assert last[b"h|b"] is not None


def test_old_and_new_versions_of_the_schema_go_to_the_same_share():
    bus = Bus()
    bus.want(share(fields=("code", "status")))
    old, new = company("a"), company("b") | {"status": "open"}
    messages = [
        Record(0, b"a", frame(1) + encode(FIRST, old), SOURCE),
        Record(1, b"b", frame(2) + encode(SECOND, new), SOURCE),
        Record(2, b"c", frame(1) + encode(FIRST, old), SOURCE),
    ]
    bus.send(messages)
    assert [record["status"] for _, record in bus.delivered()] == [None, "open", None]
    assert bus.counts() == Counts(taken=3, forwarded=3)


def test_what_the_state_says_is_taken_is_not_taken_again():
    bus = Bus()
    bus.want(share())
    bus.take(("a", company("a")), ("b", company("b")))
    bus.offset = 1
    bus.take(("b", company("b")), ("c", company("c")))
    assert [key for key, _ in bus.delivered()] == ["a", "b", "c"]


@pytest.mark.parametrize("value", [frame(9) + b"x", b"\x01junk", frame(1) + b"\x08ab"])
def test_damaged_registry_record_stops_the_unit(value):
    bus = Bus()
    bus.want(share())
    with pytest.raises(ExchangeError, match="E_REGISTRY_DAMAGED") as caught:
        bus.send([Record(0, b"secret-key", value, SOURCE)])
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


def test_refused_topic_suspends_its_share_alone_and_for_good():
    bus = Bus()
    bus.want(share(), share("t"))
    bus.take(("a", company("a")))
    bus.restart(frozenset(["share.s"]))
    bus.take(("b", company("b")))
    bus.restart()
    bus.take(("c", company("c")))
    assert [key for key, _ in bus.delivered("s")] == ["a"]
    assert [key for key, _ in bus.delivered("t")] == ["a", "b", "c"]
    assert bus.state.joins["s"].suspended == "E_SHARE_UNWRITABLE"
    assert (bus.counts("s").difference, bus.counts("t").difference) == (0, 0)


def test_unfit_terms_leave_one_share_out():
    bus = Bus()
    bus.want(share(scope=(Condition("region", "like", ("x",)),)), share("t"))
    bus.take(("a", company("a")))
    assert set(bus.state.joins) == {"t"}
    assert len(bus.delivered("t")) == 1


@pytest.mark.parametrize("terms", [{"fields": ("name",)}, {"masks": (("code", "first"),)}])
def test_key_that_is_not_granted_in_clear_never_leaves_in_clear(terms):
    bus = Bus()
    bus.want(share(**terms), share("t", **terms, pseudonymous=True))
    bus.take(("a", company("a")))
    assert bus.delivered() == []
    assert [key == "a" for key, _ in bus.delivered("t")] == [False]


def test_share_with_pseudonyms_needs_the_master_secret():
    bus = Bus()
    bus.parts = Parts(bus.parts.connection, bus.plan, bus.parts.writers, MasterSecret(), bus.parts.report)
    bus.restart()
    bus.want(share(pseudonymous=True))
    with pytest.raises(ExchangeError, match="E_MASTER_SECRET"):
        bus.send([])


def test_nothing_is_lost_when_the_client_is_full():
    bus = Bus(full=True)
    bus.want(share(), share("t", scope=CITY))
    bus.take(*((f"k{number}", company(f"k{number}")) for number in range(20)), ("k3", None))
    assert [key for key, _ in bus.delivered()] == [f"k{number}" for number in range(20)] + ["k3"]
    assert bus.counts("t") == Counts(taken=21, forwarded=20, retracted=1)

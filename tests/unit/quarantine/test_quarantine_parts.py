import dataclasses
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.quarantine.commands import Asked, Chosen, DiscardQuarantined, RedriveQuarantined
from exchange.broker.quarantine.desk import By, Quarantine
from exchange.catalogue.load import load
from exchange.clock import Deadline, format_time
from exchange.demo.province.people import Population
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, write_line
from exchange.ledger.fold.apply import apply, fold
from exchange.ledger.state.settled_quarantine import Act, SettledRecords, compact
from exchange.names import Department, RecordType
from exchange.quarantine import look
from exchange.quarantine.describe import headers_shown, key_shown, rules_of, value_shown
from exchange.quarantine.divert import quarantine_headers
from exchange.quarantine.entry import Quarantined, quarantined
from exchange.quarantine.look import Filter, Walk
from exchange.quarantine.quarantine_id import Origin, QuarantineId, origin, quarantine_id
from exchange.quarantine.redrive import Left, redrive
from exchange.quarantine.redriven import Redriven, given_name, kept_name, redriven_runs
from exchange.record import Headers, frame
from exchange.settings import Settings
from exchange.testing.hostile import Good, hostile_records
from tests.harness.memory.ledger import START, MemoryLedger
from tests.harness.memory.quarantine import MemoryQuarantineStore, Sent

MARKET, HEALTH = Department("market-regulation"), Department("health")
TYPE, DEATH = RecordType("legal-entity.registration"), RecordType("population.death")
OPERATOR = By(None, "operator", None)


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@dataclasses.dataclass(frozen=True)
class Record:
    """A record as the client hands it over."""

    topic_: str
    key_: bytes | None
    value_: bytes | None
    headers_: Headers
    partition_: int = 0
    offset_: int = 0

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> Headers:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 2, 0


def company(seed: int = 1) -> dict[str, Any]:
    return dataclasses.asdict(next(iter(Population(seed).companies(1, "11340000EXCH00018B"))))


# identity and origin


@pytest.mark.parametrize(
    "text", ["", "health", "health/0", "health/0/x", "health/-1/0", "a b/0/0", "health/0/0/0", "../0/0"]
)
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ExchangeError, match="E_REQUEST"):
        quarantine_id(text)


def test_ids_and_origins_are_read_as_they_are_written() -> None:
    place = QuarantineId(MARKET, 2, 17)
    first = Origin(TYPE, MARKET, 1, 99)
    assert quarantine_id(str(place)) == place
    assert origin(str(first).encode()) == first
    for text in (b"", b"registry.legal-entity.registration/0/1", b"inbox.x.y/0/1", b"inbox.a.b.c/0", b"\xff", None):
        assert origin(text) is None


# there and back again: quarantine, redrive, admission


HEADER_NAMES = st.one_of(
    st.sampled_from(["ce_id", "ce_source", "x-exchange-origin", "X-Exchange-Code", "submitted-x-exchange-origin"]),
    st.text(min_size=1, max_size=30),
)


@given(HEADER_NAMES)
def test_a_header_that_was_renamed_gets_its_name_back(name: str) -> None:
    kept = kept_name(name)
    assert given_name(kept) == name
    assert not kept.lower().startswith("x-exchange-")


@given(st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=20)), max_size=6), st.binary(min_size=1, max_size=30))
def test_a_redriven_record_is_what_once_came_however_often_it_fails(sent: Headers, key: bytes) -> None:
    message: Any = Record("inbox.legal-entity.registration.market-regulation", key, b"v", sent, 1, 70)
    for round_ in range(3):
        kept = Record(
            "quarantine.market-regulation", key, b"v", quarantine_headers(message, ExchangeError("E_FRAMING"))
        )
        entry = quarantined(QuarantineId(MARKET, 0, round_), kept)
        assert (entry.code, entry.stage, str(entry.origin)) == (
            "E_FRAMING",
            "admission.unseal",
            f"{message.topic()}/1/70",
        )
        assert entry.redriven_from == (f"market-regulation/0/{round_ - 1}" if round_ else None)
        made = redrive(dataclasses.replace(entry, headers=[*entry.headers, ("ce_sequence", b"1")]), lambda _: 1)
        assert not isinstance(made, Left)
        topic, _, own_key, value, headers = made
        (message,) = next(redriven_runs([Record(topic, own_key, value, headers[:-1])], TYPE))
        assert (message.key(), message.value(), message.headers()) == (key, b"v", sent)


def test_what_nobody_redrove_is_passed_over() -> None:
    ours = [("x-exchange-origin", b"inbox.legal-entity.registration.market-regulation/0/5")]
    topic = "exchange.redrive.legal-entity.registration"
    records = [
        Record(topic, b"~", None, ours),
        Record(topic, b"k", b"v", []),
        Record(topic, b"k", b"v", [("x-exchange-origin", b"inbox.population.death.health/0/5")]),
        Record(topic, b"k", b"v", ours),
    ]
    assert [[one.key() for one in run] for run in redriven_runs(records, TYPE)] == [[b"k"]]


def test_records_of_several_inboxes_keep_their_order() -> None:
    topic = "exchange.redrive.legal-entity.registration"
    inboxes = ["market-regulation", "market-regulation", "civil-affairs", "market-regulation"]
    records = [
        Record(topic, b"k%d" % n, b"v", [("x-exchange-origin", f"inbox.{TYPE}.{slug}/0/{n}".encode())])
        for n, slug in enumerate(inboxes)
    ]
    runs = list(redriven_runs(records, TYPE))
    assert [one.key() for run in runs for one in run] == [b"k0", b"k1", b"k2", b"k3"]
    assert [len({one.topic() for one in run}) for run in runs] == [1, 1, 1]
    assert all(isinstance(one, Redriven) for run in runs for one in run)


def entry(**changed: Any) -> Quarantined:
    standing = Quarantined(
        QuarantineId(MARKET, 0, 1), 0, "admission.check", "E_CODE_UNKNOWN", "", Origin(TYPE, MARKET, 0, 9), None,
        b"key", b"value", [("ce_sequence", b"4")],
    )  # fmt: skip
    return dataclasses.replace(standing, **changed)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"key": None}, Left.NO_KEY),
        ({"key": b""}, Left.NO_KEY),
        ({"origin": None}, Left.NO_ORIGIN),
        ({"value": bytes(262_145)}, Left.TOO_LARGE),
        ({"headers": [("a", bytes(400_000)), ("ce_sequence", b"1")]}, Left.TOO_LARGE),
        ({"origin": Origin(DEATH, MARKET, 0, 9)}, Left.NO_TYPE),
        ({"headers": [], "origin": Origin(TYPE, MARKET, 7, 9)}, Left.NO_ORDER),
    ],
)
def test_what_redriving_cannot_mend_stays_where_it_is(changed: dict[str, Any], why: Left) -> None:
    assert redrive(entry(**changed), {TYPE: 3}.get) is why


def test_a_withdrawal_can_be_redriven() -> None:
    made = redrive(entry(value=None), {TYPE: 3}.get)
    assert not isinstance(made, Left)
    assert made[3] is None


# what is told of a record


def told(one: Quarantined, schemas: SchemaRepository) -> str:
    shown = [
        key_shown(one.key, rules_of(schemas, one.record_type)),
        headers_shown(one.headers),
        value_shown(one, schemas),
        repr(one),
    ]
    return json.dumps(shown, ensure_ascii=False)


def test_showing_a_record_tells_no_value(schemas: SchemaRepository) -> None:
    row = company()
    locked = schemas.latest(TYPE)
    value = frame(locked.id) + Codec(locked.schema).encode(row)
    headers = [("ce_sequence", b"4711471147"), ("id-" + row["credit_code"], b"x"), ("ce_subject", b"91349900")]
    one = entry(key=row["credit_code"].encode(), value=value, headers=headers, reason="a code: field status")
    text = told(one, schemas)
    for name, held in row.items():
        if isinstance(held, str) and len(held) > 3:
            assert held not in text, name
    assert "4711471147" not in text
    shown = value_shown(one, schemas)
    assert shown is not None
    fields = {field["field"]: field for field in shown["fields"]}
    assert fields.keys() >= row.keys()
    assert [name for name, field in fields.items() if field["concerned"]] == ["status"]
    assert fields["established"]["holds"] == "date"
    assert fields["name"]["holds"] == f"text of {len(row['name'])} characters"
    assert fields["credit_code"]["holds"] == row["credit_code"][:2] + "*" * 14 + row["credit_code"][-2:]


def test_the_key_of_a_person_is_masked(schemas: SchemaRepository) -> None:
    shown = key_shown(b"349901199001011234", rules_of(schemas, RecordType("population.resident")))
    assert shown == {"bytes": 18, "masked": "3" + "*" * 16 + "4"}
    for key in (b"349901199001011234/x", b"\xff\xfe349901199001011234", b"x" * 100_000):
        masked = key_shown(key, rules_of(schemas, RecordType("population.resident")))
        assert masked is not None
        assert len(masked["masked"]) <= 80
        assert set(masked["masked"]) <= set("*/")


def test_hostile_records_are_shown_without_their_values_too(schemas: SchemaRepository) -> None:
    first, second, third = (company(seed) for seed in (1, 2, 3))
    locked = schemas.latest(TYPE)
    encode = Codec(locked.schema).encode
    goods = [Good(row["credit_code"].encode(), frame(locked.id) + encode(row)) for row in (first, second, third)]
    for bad in hostile_records(goods[0], goods[1], goods[2], schemas.latest(DEATH).id):
        text = told(entry(key=bad.key, value=bad.value, headers=bad.headers, code=bad.code), schemas)
        for row in (first, second, third):
            assert not any(row[name] in text for name in ("credit_code", "name", "address", "legal_representative"))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_shown(body: bytes) -> None:
    schemas = SCHEMAS
    shown = value_shown(entry(value=frame(schemas.latest(TYPE).id) + body), schemas)
    assert shown is not None
    assert shown["decodes"] == "yes" or shown["decodes"].startswith("E_")


SCHEMAS = SchemaRepository.load(Settings().schemas)


# offsets that are settled


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.randoms(use_true_random=False))
def test_ranges_hold_what_was_chosen_and_nothing_that_was_left(
    stand: set[int], picked: set[int], chance: random.Random
) -> None:
    chosen = sorted(stand & picked)
    settled = SettledRecords()
    half = [offset for offset in chosen if chance.random() < 0.5]
    for seq, some in enumerate((half, [offset for offset in chosen if offset not in half]), 1):
        ranges = compact(some, sorted(stand))
        assert len(ranges) <= len(some)
        settled.add(Act(seq, "redriven", START, "operator", {"E_FRAMING": len(some)}, None), {0: ranges})
    for offset in stand:
        act = settled.act_on(0, offset)
        assert (act is not None) == (offset in chosen)
        assert act is None or (act.seq == 1) == (offset in half)
    assert settled.by_code.get("E_FRAMING", 0) == len(chosen)


def test_what_is_settled_cannot_be_settled_again() -> None:
    settled = SettledRecords()
    act = Act(1, "redriven", START, "operator", {"E_FRAMING": 3}, None)
    settled.add(act, {0: [(5, 7)]})
    for ranges in ([(7, 9)], [(1, 5)], [(6, 6)], [(1, 20)], [(9, 8)], [(10, 12), (11, 13)]):
        with pytest.raises(ValueError, match="once"):
            settled.add(act, {0: ranges})
    settled.add(act, {0: [(8, 9)], 1: [(5, 7)]})
    assert settled.act_on(0, 4) is None


# looking and settling


@dataclasses.dataclass
class Desk:
    """Quarantine in memory."""

    ledger: MemoryLedger
    store: MemoryQuarantineStore
    quarantine: Quarantine

    def put(self, code: str = "E_CODE_UNKNOWN", owner: Department = MARKET, key: bytes = b"k", **sent: Any) -> str:
        type_ = TYPE if owner == MARKET else DEATH
        return str(self.store.put(owner, type_, code, Sent(key, b"v", [("ce_sequence", b"1")], **sent)))

    def waiting(self) -> list[str]:
        found, _ = self.quarantine.look(None, Filter(), "waiting", 1000)
        return [str(seen.entry.id) for seen in found]


@pytest.fixture
def desk(schemas: SchemaRepository) -> Iterator[Desk]:
    ledger, store = MemoryLedger(), MemoryQuarantineStore()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    yield Desk(ledger, store, Quarantine(ledger, store, schemas, store.put_aside))


def test_the_ledger_holds_places_codes_and_counts_and_nothing_of_the_records(desk: Desk) -> None:
    ids = [desk.put(key=b"349901199001011234") for _ in range(3)]
    done = desk.quarantine.redrive(MARKET, Asked(code="E_CODE_UNKNOWN", limit=10), OPERATOR)
    event = desk.ledger.events[-1]
    assert event.data == {
        "department": MARKET,
        "by": "operator",
        "count": 3,
        "codes": {"E_CODE_UNKNOWN": 3},
        "ranges": {"0": [[0, 4]]},
        "asked": {"code": "E_CODE_UNKNOWN"},
    }
    assert (event.event, event.entity, done.event) == ("quarantine-redriven", MARKET, event.seq)
    assert [str(place) for place in done.ids] == ids
    assert "349901199001011234" not in write_line(event) + repr(event) + repr(desk.ledger.beside)
    assert [(one.topic, one.key, one.value) for one in desk.ledger.beside] == [
        ("exchange.redrive.legal-entity.registration", b"349901199001011234", b"v")
    ] * 3
    assert fold(desk.ledger.events).settled == desk.ledger.state.settled


def test_records_of_other_codes_between_are_left_waiting(desk: Desk) -> None:
    ids = [desk.put(code) for code in ("E_FRAMING", "E_CODE_UNKNOWN", "E_FRAMING", "E_FRAMING")]
    desk.quarantine.discard(MARKET, Asked(code="E_FRAMING", limit=10), "noise", OPERATOR)
    assert desk.ledger.events[-1].data["ranges"] == {"0": [[0, 0], [4, 6]]}
    assert desk.ledger.events[-1].data["reason"] == "noise"
    assert desk.waiting() == [ids[1]]
    assert desk.quarantine.waiting() == {(MARKET, "E_FRAMING"): 0.0, (MARKET, "E_CODE_UNKNOWN"): 1.0}


def test_records_that_left_quarantine_by_their_age_are_not_said_to_wait(desk: Desk) -> None:
    for _ in range(5):
        desk.put("E_FRAMING")
    assert desk.quarantine.waiting() == {(MARKET, "E_FRAMING"): 5.0}
    del desk.store.entries[:4]
    assert desk.quarantine.waiting() == {(MARKET, "E_FRAMING"): 1.0}
    desk.store.entries.clear()
    assert desk.quarantine.waiting() == {(MARKET, "E_FRAMING"): 0.0}


def test_a_repeated_command_answers_what_it_did_the_first_time_and_does_nothing(desk: Desk) -> None:
    first = [desk.put() for _ in range(2)]
    by = By(MARKET, MARKET, "once")
    done = desk.quarantine.redrive(MARKET, Asked(code="E_CODE_UNKNOWN", limit=10), by)
    desk.put()
    again = desk.quarantine.redrive(MARKET, Asked(code="E_CODE_UNKNOWN", limit=10), by)
    assert (done.count, done.repeated, again.count, again.repeated) == (2, False, 2, True)
    assert again.event == done.event
    assert len(desk.ledger.beside) == 2
    assert len(first) == 2
    with pytest.raises(ExchangeError, match="E_IDEMPOTENCY"):
        desk.quarantine.redrive(MARKET, Asked(code="E_FRAMING", limit=10), by)


def test_a_record_that_someone_else_settled_meanwhile_is_not_settled_again(desk: Desk) -> None:
    desk.put()
    chosen = Chosen({0: [0]}, {0: [(0, 0)]}, {"E_CODE_UNKNOWN": 1})
    desk.ledger.execute(RedriveQuarantined(MARKET, None, Asked(), chosen))
    for command in (
        RedriveQuarantined(MARKET, None, Asked(), chosen),
        DiscardQuarantined(MARKET, None, Asked(), "late", chosen),
    ):
        with pytest.raises(ExchangeError, match="E_QUARANTINE_STATE"):
            desk.ledger.execute(command)


def test_a_discard_without_a_reason_is_refused(desk: Desk) -> None:
    desk.put()
    for reason in ("", "  "):
        with pytest.raises(ExchangeError, match="E_DISCARD_REASON"):
            desk.quarantine.discard(MARKET, Asked(code="E_CODE_UNKNOWN", limit=1), reason, OPERATOR)
    assert len(desk.waiting()) == 1


@pytest.mark.parametrize(
    "asked",
    [
        Asked(limit=10),
        Asked(ids=("market-regulation/0/0",), code="E_FRAMING", limit=10),
        Asked(ids=("health/0/0",), limit=10),
        Asked(code="E_FRAMING", limit=0),
        Asked(code="E_FRAMING", limit=1001),
        Asked(ids=("market-regulation/0/0", "market-regulation/0/2"), limit=1),
    ],
)
def test_a_question_without_bounds_or_sense_is_refused(desk: Desk, asked: Asked) -> None:
    desk.put()
    with pytest.raises(ExchangeError, match="E_REQUEST"):
        desk.quarantine.redrive(MARKET, asked, OPERATOR)
    assert desk.ledger.beside == []


def test_a_named_record_that_is_not_there_is_told(desk: Desk) -> None:
    place = desk.put()
    with pytest.raises(ExchangeError, match="E_UNKNOWN_QUARANTINED"):
        desk.quarantine.redrive(MARKET, Asked(ids=(place, "market-regulation/0/99"), limit=10), OPERATOR)
    assert desk.waiting() == [place]
    with pytest.raises(ExchangeError, match="E_UNKNOWN_QUARANTINED"):
        desk.quarantine.show(quarantine_id("market-regulation/0/1"))  # between two records


def test_looking_ends_after_a_bounded_number_of_records_and_goes_on_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "MOST_SEEN", 4)
    ids = [desk.put() for _ in range(5)] + [desk.put("E_FRAMING"), desk.put(owner=HEALTH)]
    found: list[str] = []
    after: str | None = None
    looks = 0
    while looks == 0 or after is not None:
        seen, following = desk.quarantine.look(None, Filter(code="E_FRAMING"), "waiting", 10, after)
        found += [str(one.entry.id) for one in seen]
        after, looks = None if following is None else str(following), looks + 1
    assert (found, looks) == ([ids[5]], 2)
    with pytest.raises(ExchangeError, match="E_REQUEST"):
        desk.quarantine.redrive(MARKET, Asked(ids=(ids[0], ids[5]), limit=10), OPERATOR)


def test_a_page_goes_on_where_the_page_before_ended(desk: Desk) -> None:
    ids = sorted((desk.put(owner=owner) for owner in (MARKET, HEALTH, MARKET, HEALTH, MARKET)), key=quarantine_id)
    found: list[str] = []
    after: str | None = None
    while not found or after is not None:
        seen, following = desk.quarantine.look(None, Filter(), None, 2, after)
        found += [str(one.entry.id) for one in seen]
        after = None if following is None else str(following)
    assert found == ids


def test_a_walk_over_departments_without_quarantine_is_empty() -> None:
    walk = Walk(MemoryQuarantineStore(), [MARKET])
    assert list(walk.entries(None, lambda: False, Deadline.after(1))) == []
    assert walk.following is None


def test_a_department_settles_its_own_alone(desk: Desk) -> None:
    desk.put(owner=HEALTH)
    asked, stranger = Asked(code="E_CODE_UNKNOWN", limit=1), By(MARKET, MARKET, None)
    with pytest.raises(ExchangeError, match="E_ROLE"):
        desk.quarantine.redrive(HEALTH, asked, stranger)
    with pytest.raises(ExchangeError, match="E_ROLE"):
        desk.quarantine.discard(HEALTH, asked, "why", stranger)
    assert desk.quarantine.redrive(HEALTH, asked, By(HEALTH, HEALTH, None)).count == 1
    assert desk.ledger.events[-1].data["by"] == HEALTH


def test_damaged_data_of_an_event_settle_nothing_and_are_not_written(desk: Desk) -> None:
    place = desk.put()
    chosen = Chosen({0: [0]}, {0: [(3, 1)]}, {"E_CODE_UNKNOWN": 1})
    written = list(desk.ledger.events)
    with pytest.raises(ExchangeError, match=r"^E_INTERNAL"):
        desk.ledger.execute(RedriveQuarantined(MARKET, None, Asked(), chosen))
    assert desk.ledger.events == written
    assert desk.waiting() == [place]


def test_an_event_with_damaged_data_in_an_old_ledger_is_noted_and_settles_nothing(desk: Desk) -> None:
    place = desk.put()
    state = desk.ledger.state
    data = {"department": MARKET, "codes": {"E_CODE_UNKNOWN": 1}, "by": MARKET, "ranges": {"0": [[3, 1]]}}
    moment = format_time(state.at or START)
    apply(state, LedgerEvent(state.seq + 1, "quarantine-redriven", moment, MARKET, MARKET, None, state.head, data))
    assert state.unread == 1
    assert desk.waiting() == [place]

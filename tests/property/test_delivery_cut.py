"""The generated cut equals what decoding, testing, projecting, masking and encoding with fastavro gives."""

import io
from datetime import date
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro.subset import subset_schema
from exchange.delivery.cut import Holdings, compile_cut
from exchange.delivery.cutting import masks
from exchange.delivery.cutting.order import Order
from exchange.delivery.cutting.pseudonym import MasterSecret, pseudonym, pseudonymous_id
from exchange.delivery.cutting.scopes import matches
from exchange.delivery.permit import Share
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.record import frame, source_of

WRITER, SHARE = 7, 100_001
SECRET = MasterSecret({1: b"m" * 32}).of_share("s", 1)
DATE = {"type": "int", "logicalType": "date"}
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": DATE}]}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=9) | st.sampled_from(["34", "3401", "x" * 200, "安" * 3000])
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31))
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": ("string", TEXTS),
    "maybe_text": (["null", "string"], st.none() | TEXTS),
    "text_maybe": (["string", "null"], st.none() | TEXTS),
    "day": (DATE, DATES),
    "maybe_day": (["null", DATE], st.none() | DATES),
    "number": ("long", st.integers(-(2**63), 2**63 - 1)),
    "flag": ("boolean", st.booleans()),
    "real": ("double", st.floats(allow_nan=False)),
    "raw": ("bytes", st.binary(max_size=200)),
    "texts": ({"type": "array", "items": "string"}, st.lists(TEXTS, max_size=3)),
    "counts": ({"type": "map", "values": "int"}, st.dictionaries(TEXTS, st.integers(0, 99), max_size=3)),
    "inner": (
        ["null", INNER],
        st.none() | st.fixed_dictionaries({"a": TEXTS, "b": DATES}),
    ),
    "state": ({"type": "enum", "name": "State", "symbols": ["ON", "OFF"]}, st.sampled_from(["ON", "OFF"])),
}
MASKS = {
    "text": ("first", "ends", "pseudonym"),
    "maybe_text": ("first", "ends", "pseudonym"),
    "day": ("year",),
    "maybe_day": ("year",),
}
SCOPED = ("text", "maybe_text", "text_maybe")


class Record:
    """A consumed record."""

    def __init__(self, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self._key, self._value, self._headers = key, value, headers

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers


def encode(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def masked(mask: str, value: Any) -> str | None:
    if value is None:
        return None
    if mask == "pseudonym":
        return pseudonym(SECRET, value.encode()).decode()
    return f"{value.year:04d}" if mask == "year" else {"first": masks.first, "ends": masks.ends}[mask](value)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], Terms]:
    """(writer's schema, record, share's schema, terms); the share may know fields that came after the writer."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=9, unique=True))
    later = [kind for kind in draw(st.sampled_from([[], ["maybe_text"], ["maybe_day"]])) if kind not in kinds]
    fields = [{"name": kind, "type": KINDS[kind][0]} for kind in kinds]
    fields += [{"name": kind, "type": KINDS[kind][0], "default": None} for kind in later]
    newest = {"type": "record", "name": "Registry", "fields": fields}
    written = {**newest, "fields": newest["fields"][: len(kinds)]}
    record = {kind: draw(KINDS[kind][1]) for kind in kinds}
    kept = draw(st.lists(st.sampled_from(kinds + later), min_size=1, unique=True))
    hidden = {kind: draw(st.sampled_from(MASKS[kind])) for kind in kept if kind in MASKS and draw(st.booleans())}
    scope = tuple(
        draw(conditions(kind, record.get(kind))) for kind in kinds + later if kind in SCOPED and draw(st.booleans())
    )
    terms = Terms(
        "legal-entity.registration", "health", tuple(kept), tuple(sorted(hidden.items())), scope, draw(st.booleans())
    )
    return written, record, subset_schema(newest, kept, hidden, "Share"), terms


@st.composite
def conditions(draw: st.DrawFn, kind: str, value: str | None) -> Condition:
    """A condition that the value often meets."""
    near = st.just(value) if value is not None else TEXTS
    operator = draw(st.sampled_from(["equals", "in", "prefix"]))
    if operator == "prefix":
        text = draw(near | TEXTS)
        return Condition(
            kind, operator, (text[: draw(st.integers(0, len(text)))] + draw(st.sampled_from(["", "", "x"])),)
        )
    values = draw(st.lists(near | TEXTS, min_size=1, max_size=1 if operator == "equals" else 3))
    return Condition(kind, operator, tuple(values))


@settings(deadline=None, max_examples=300)
@given(cases(), st.booleans(), st.booleans())
def test_cut_equals_decode_test_project_mask_encode(case: Any, own: bool, personal: bool) -> None:
    written, record, shown, terms = case
    share = Share("s", 3, terms, SHARE, shown, personal, SECRET)
    cut = compile_cut(WRITER, written, [share], Holdings(), 5)
    source = ("ce_source", source_of("health" if own else "police"))
    headers = [("ce_id", b"id-1"), source, ("ce_sequence", b"4")]
    produced: list[Any] = []
    stray: list[Any] = []
    value = frame(WRITER) + encode(written, record)
    counts = cut(
        [Record(b"k", value, headers), Record(b"k", None, headers), Record(b"k", frame(8), headers)],
        lambda *arguments, headers: produced.append((*arguments, headers)),
        None,
        stray.append,
    )
    permitted = own and all(matches(part, record.get(part.field)) for part in terms.scope)
    hidden = dict(terms.masks)
    expected = {
        name: masked(hidden[name], record.get(name)) if name in hidden else record.get(name)
        for name in (item["name"] for item in shown["fields"])
    }
    assert len(stray) == 2
    assert counts == ((int(permitted), 0, 0),)
    if not permitted:
        assert produced == []
        return
    key, told = b"k", headers
    if terms.pseudonymous:
        key, told = pseudonym(SECRET, b"k"), [("ce_id", pseudonymous_id(SECRET, b"id-1")), source]
        told.append(("ce_sequence", Order().next()))
    assert produced == [("share.s", frame(SHARE) + encode(shown, expected), key, 5, told)]


@settings(deadline=None, max_examples=60)
@given(st.lists(cases(), min_size=1, max_size=4), st.data())
def test_shares_that_are_cut_together_get_what_each_gets_alone(several: Any, data: st.DataObject) -> None:
    written, record, _, _ = several[0]
    shares = []
    for number, (_, _, _, drawn) in enumerate(several):
        names = [item["name"] for item in written["fields"]]
        kept = [name for name in drawn.fields if name in names] or names[:1]
        hidden = {name: mask for name, mask in drawn.masks if name in kept}
        terms = Terms(drawn.record_type, drawn.provider, tuple(kept), tuple(hidden.items()), drawn.scope)
        schema = subset_schema(written, kept, hidden, "Share")
        shares.append(Share(f"s{number}", number, terms, SHARE + number, schema, False, SECRET))
    message = Record(b"k", frame(WRITER) + encode(written, record), [("ce_source", source_of("health"))])

    def outcome(together: list[Share]) -> tuple[Any, Any]:
        produced: list[Any] = []
        cut = compile_cut(WRITER, written, together, Holdings(), 0)
        counts = cut([message], lambda *arguments, headers: produced.append(arguments), None, None)
        return counts, produced

    counts, produced = outcome(shares)
    alone = [outcome([share]) for share in shares]
    assert counts == tuple(count for found, _ in alone for count in found)
    assert produced == [one for _, found in alone for one in found]

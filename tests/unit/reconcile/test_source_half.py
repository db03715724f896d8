"""The provider's half: its own rows, mapped and cut apart from the lines, against the digests of the share."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.reference import ReferenceReader
from exchange.avro.subset import subset_schema
from exchange.connect.declare import Source, Unmapped
from exchange.connect.reading import Cursor, FaultyRow, Page, SourceRow
from exchange.errors import ExchangeError
from exchange.names import GrantId, RecordType
from exchange.reconcile.canonical import Canon
from exchange.reconcile.cut import GrantTerms
from exchange.reconcile.desk import answer
from exchange.reconcile.fold import FEW, Entry, Fold, key_hash
from exchange.reconcile.result import Finding
from exchange.reconcile.sink import Pace
from exchange.reconcile.source import SourceSide, reconcile_source
from exchange.settings import ConnectorSettings, Settings

TYPE = RecordType("legal-entity.registration")
RECORD = SchemaRepository.load(Settings().schemas).latest(TYPE).record
assert RECORD is not None
FIELDS = ("credit_code", "name", "established", "region")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@dataclass
class Rows:
    """A source in memory: a list of rows, each (sequence, withdrawn, columns)."""

    rows: list[SourceRow | FaultyRow] = field(default_factory=list)
    fingerprint: str = "rows"
    waiting: bool = False
    brings_all: bool = True
    read: int = 0

    def reader(self, settings: ConnectorSettings) -> "Rows":
        return self

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        raise AssertionError("a whole reading is what counts")

    def due(self, cursor: Cursor | None) -> bool:
        return True

    def whole(self, limit: int) -> Iterator[Page]:
        self.read += 1
        yield Page(self.rows[:1], {})
        yield Page(self.rows[1:], {})

    def close(self) -> None: ...

    def put(self, code: str, sequence: int = 1, withdrawn: bool = False, **columns: Any) -> None:
        self.rows.append(SourceRow({"code": code, **columns}, sequence, withdrawn))


def mapped(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("bad"):
        raise Unmapped("name")
    record = {"credit_code": row["code"], "name": f"company {row['code']}", "established": date(2003, 5, 6)}
    return record | {"region": "340100"} | {name: row[name] for name in row.keys() - {"code", "bad"}}


class Share:
    """The broker service with a share that holds some records."""

    def __init__(self, terms: GrantTerms) -> None:
        assert RECORD is not None
        self.schema = subset_schema(RECORD.schema, terms.fields, dict(terms.masks), "Share")
        self._canon = Canon(self.schema, terms.not_computable)
        self._codec, self._reader = Codec(self.schema), ReferenceReader(self.schema)
        self._pseudonymous = terms.pseudonymous
        self.fold = Fold()
        self.asked: list[tuple[str, int | None]] = []
        self.stale = 0
        """How often a version is gone on the way down."""
        self.before_answer = lambda: None

    def hold(self, code: str, **values: Any) -> None:
        """Take a record in, by the way over its bytes."""
        record = {"credit_code": code, "name": f"company {code}", "established": date(2003, 5, 6), "region": "340100"}
        shown = {one["name"]: (record | values).get(one["name"]) for one in self.schema["fields"]}
        content = self._canon.digest(self._reader.read(self._codec.encode(shown)))
        self.fold.put([Entry(key_hash(code.encode()), content, code.encode(), 0, 0)])

    def get(self, path: str, **params: Any) -> Any:
        assert path == "/v1/grants/g-1/digests"
        self.asked.append((params["prefix"], params["version"]))
        if len(self.asked) == 1:
            return {"state": "reading"}
        if params["prefix"] and self.stale:
            self.stale -= 1
            raise ExchangeError("E_DIGESTS")
        self.before_answer()
        return {
            "state": "ready",
            "version": 5,
            **answer(self.fold, bytes.fromhex(params["prefix"]), self._pseudonymous),
        }


def terms(**more: Any) -> GrantTerms:
    told = {"fields": FIELDS, "masks": {}, "scope": [], "pseudonymous": False}
    return GrantTerms.of(told | more)


def compared(share: Share, agreed: GrantTerms, *sources: Rows, patience: float = 0.0) -> Finding:
    assert RECORD is not None
    named = [(f"market-regulation.source-{number}", Source(TYPE, one, mapped)) for number, one in enumerate(sources)]
    side = SourceSide(GrantId("g-1"), RECORD, share.schema, agreed, named, ConnectorSettings())
    return reconcile_source(share, side, Pace(patience))


def named(finding: Finding) -> set[tuple[str, str]]:
    return {(one.kind.value, one.key) for one in finding.differences}


def pair(codes: Iterable[str], **more: Any) -> tuple[Share, GrantTerms, Rows]:
    """A share and a table that are equal."""
    agreed = terms(**more)
    share, rows = Share(agreed), Rows()
    for code in codes:
        share.hold(code)
        rows.put(code)
    return share, agreed, rows


def test_a_share_that_holds_what_the_table_holds_is_equal() -> None:
    share, agreed, rows = pair(["A", "B", "C"])
    finding = compared(share, agreed, rows)
    assert (finding.result.compared, finding.result.equal, finding.result.holds) == (3, 3, True)
    assert rows.read == 1


def test_a_missing_an_altered_and_an_extra_record_of_the_share_are_each_named() -> None:
    share, agreed, rows = pair(["A", "B", "C"])
    rows.put("D")
    share.hold("B", name="what the exchange made of it")
    share.hold("X")
    finding = compared(share, agreed, rows)
    assert named(finding) == {("missing", "D"), ("altered", "B"), ("extra", "X")}
    assert (finding.result.compared, finding.result.equal) == (5, 2)


@pytest.mark.parametrize("column", ["name", "established", "region"])
def test_a_change_of_any_granted_field_is_found(column: str) -> None:
    share, agreed, rows = pair(["A"])
    rows.rows.clear()
    rows.put("A", **{column: {"name": "n", "established": date(2003, 5, 7), "region": "340101"}[column]})
    assert named(compared(share, agreed, rows)) == {("altered", "A")}


def test_a_change_of_a_field_that_is_not_granted_is_none() -> None:
    share, agreed, rows = pair(["A"])
    rows.rows.clear()
    rows.put("A", status="9", address="elsewhere")
    assert compared(share, agreed, rows).result.holds


def test_many_keys_are_compared_by_their_branches() -> None:
    codes = [f"C{number}" for number in range(FEW + 500)]
    share, agreed, rows = pair(codes)
    assert compared(share, agreed, rows).result.holds
    assert {prefix for prefix, _ in share.asked} == {""}
    rows.put("NEW")
    share.fold.remove([key_hash(b"C7")])
    share.asked.clear()
    share.stale = 2
    finding = compared(share, agreed, rows)
    assert named(finding) == {("missing", "NEW"), ("missing", "C7")}
    assert len({prefix for prefix, _ in share.asked}) == 3, "the root and the two branches that differ"
    assert {version for prefix, version in share.asked if prefix} == {5}


def test_withdrawn_ended_and_out_of_scope_rows_are_not_in_the_share() -> None:
    agreed = terms(scope=[{"field": "region", "operator": "prefix", "values": ["3401"]}])
    share, rows = Share(agreed), Rows()
    share.hold("A")
    rows.put("A")
    rows.put("B", withdrawn=True)
    rows.put("C", region="340200")
    rows.put("D", region=None)
    rows.put("E", expires_at=NOW.date() - timedelta(days=2000))
    assert compared(share, agreed, rows).result.holds


@pytest.mark.parametrize(
    ("operator", "values", "inside"),
    [("equals", ["340100"], {"A"}), ("in", ["340100", "340200"], {"A", "B"}), ("prefix", ["34"], {"A", "B", "C"})],
)
def test_the_scope_is_cut_as_its_operator_says(operator: str, values: list[str], inside: set[str]) -> None:
    agreed = terms(scope=[{"field": "region", "operator": operator, "values": values}])
    share, rows = Share(agreed), Rows()
    for code, region in (("A", "340100"), ("B", "340200"), ("C", "349999"), ("D", "110000"), ("E", "")):
        rows.put(code, region=region)
        if code in inside:
            share.hold(code, region=region)
    assert compared(share, agreed, rows).result.holds


def test_masked_fields_are_compared_as_they_are_shown() -> None:
    agreed = terms(masks={"name": "ends", "established": "year", "region": "first"})
    share, rows = Share(agreed), Rows()
    for code, name, shown in (("A", "安徽省合肥市", "安**市"), ("B", "abc", "a**"), ("C", "", "**")):
        rows.put(code, name=name)
        share.hold(code, name=shown, established="2003", region="3**")
    assert compared(share, agreed, rows).result.holds
    rows.put("A", 2, name="安徽省", established=date(2004, 1, 1))
    assert named(compared(share, agreed, rows)) == {("altered", "A")}


def test_of_two_rows_with_one_key_the_newer_counts_whatever_their_order() -> None:
    for order in (1, -1):
        share, agreed = Share(terms()), terms()
        share.hold("A", name="newer")
        rows = Rows()
        rows.put("A", 9, name="newer")
        rows.put("A", 3, name="older")
        rows.rows = rows.rows[::order]
        assert compared(share, agreed, rows).result.holds
        rows.put("A", 12, withdrawn=True)
        rows.rows = rows.rows[::order]
        assert named(compared(share, agreed, rows)) == {("extra", "A")}


def test_every_source_of_the_record_type_counts() -> None:
    share, agreed, rows = pair(["A"])
    share.hold("W")
    window = Rows()
    window.put("W")
    finding = compared(share, agreed, rows, window)
    assert finding.result.holds
    assert finding.compared_with == "what market-regulation.source-0, market-regulation.source-1 reads"


def test_rows_that_cannot_be_read_or_mapped_are_counted_and_said() -> None:
    share, agreed, rows = pair(["A"])
    rows.put("B", bad=True)
    rows.put("", name="no key")
    rows.rows.append(FaultyRow(ExchangeError("E_ROW_UNREADABLE"), None))
    finding = compared(share, agreed, rows)
    assert (finding.result.unread, finding.result.equal, finding.result.holds) == (3, 1, False)
    assert "3 rows could not be read" in finding.notes[0]


def test_a_row_that_arrives_while_it_is_compared_is_no_difference() -> None:
    share, agreed, rows = pair(["A"])
    rows.put("B")

    def arrive() -> None:
        if rows.read == 2:
            share.hold("B")

    share.before_answer = arrive
    finding = compared(share, agreed, rows)
    assert finding.result.holds
    assert rows.read == 2


def test_a_row_that_changes_all_the_time_is_on_its_way() -> None:
    share, agreed, rows = pair(["A"])

    def change() -> None:
        rows.rows[:] = []
        rows.put("A", name=f"version {rows.read}")

    share.before_answer = change
    rows.put("A", 2, name="at first")
    assert named(compared(share, agreed, rows)) == {("waiting", "A")}


def test_a_share_with_hidden_keys_is_compared_by_its_contents() -> None:
    agreed = terms(fields=("name", "region"), pseudonymous=True)
    share, rows = Share(agreed), Rows()
    for code in ("A", "B"):
        share.hold(code, name="the same")
        rows.put(code, name="the same")
    finding = compared(share, agreed, rows)
    assert finding.result.holds
    assert "hides its keys" in finding.notes[0]
    rows.put("C")
    finding = compared(share, agreed, rows)
    assert (finding.result.missing, finding.result.holds, finding.differences) == (1, False, [])
    share.hold("D", name="other")
    assert compared(share, agreed, rows).result.altered == 1


def test_a_pseudonym_is_not_compared_and_that_is_said() -> None:
    agreed = terms(masks={"name": "pseudonym"})
    share, rows = Share(agreed), Rows()
    share.hold("A", name="0123456789abcdef")
    rows.put("A", name="a name")
    finding = compared(share, agreed, rows)
    assert finding.result.holds
    assert "name is a pseudonym" in finding.notes[0]


def test_a_file_of_changes_alone_is_not_compared() -> None:
    share, agreed, rows = pair(["A"])
    rows.brings_all = False
    with pytest.raises(ExchangeError) as caught:
        compared(share, agreed, rows)
    assert caught.value.code == "E_CONNECTOR"


def test_told_to_stop_it_ends() -> None:
    share, agreed, rows = pair(["A"])
    assert RECORD is not None
    stop = threading.Event()
    stop.set()
    side = SourceSide(
        GrantId("g-1"), RECORD, share.schema, agreed, [("s", Source(TYPE, rows, mapped))], ConnectorSettings()
    )
    with pytest.raises(ExchangeError):
        reconcile_source(share, side, Pace(0.0, stop=stop))


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_a_day_ends_with_it_in_china(day: date) -> None:
    agreed = terms(fields=("expires_at",))
    end = datetime(day.year, day.month, day.day, 16, tzinfo=UTC)
    assert agreed.cut({"expires_at": day}, end) is None
    assert agreed.cut({"expires_at": day}, end - timedelta(microseconds=1)) is not None
    assert agreed.cut({"expires_at": None}, end) is not None

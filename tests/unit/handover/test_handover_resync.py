"""Reading a share again after a long absence: what was withdrawn meanwhile leaves the table, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.layout import Change, Layout
from exchange.handover.table import target as target_module
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import Batch, Refusal, SqlTarget
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.names import GrantId
from tests.harness.source_tables import execute

GRANT, OTHER = GrantId("grant-1"), GrantId("grant-2")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
LATER = NOW + TOMBSTONES_KEPT
SCHEMA = {
    "type": "record",
    "name": "Cut",
    "fields": [{"name": "code", "type": "string"}, {"name": "name", "type": "string"}],
}
LAYOUT = Layout.of(SCHEMA, ("code",), pseudonymous=False)


class Sink:
    """A sink of one table that reads whatever the test says, partition 0 of a share, as one grant."""

    def __init__(self, address: str, grant: GrantId = GRANT) -> None:
        self.address = address
        self.grant = grant
        self.target = SqlTarget("cut", address, LAYOUT)
        self.target.prepare(grant)
        self.reported: list[Refusal] = []
        self.reading = 1

    def begin(self, now: datetime = NOW, partition: int = 0, topic: str = "share.s") -> Progress:
        found = self.target.begin(self.grant, topic, [partition], now)[partition]
        self.reading = found.reading
        return found

    def read(self, *changes: Change, now: datetime = NOW, partition: int = 0, **more: Any) -> Progress:
        end = more.pop("end", changes[-1].offset + 1 if changes else 0)
        reading = more.pop("reading", self.reading)
        batch = Batch(self.grant, partition, changes, end, now, more.pop("faulty", {}), reading)
        return self.target.apply(batch, self._report)

    def complete(self, now: datetime = NOW, partition: int = 0) -> Progress | None:
        return self.target.complete(self.grant, partition, self.reading, now)

    def rows(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.address.replace("+psycopg", "")) as connection:
            return connection.execute("SELECT code, name FROM cut ORDER BY code").fetchall()

    def _report(self, refusals: Sequence[Refusal]) -> None:
        self.reported += refusals


def row(offset: int, code: str, name: str = "n") -> Change:
    return Change(offset, code.encode(), {"code": code, "name": name})


def end(offset: int, code: str) -> Change:
    return Change(offset, code.encode(), None)


@pytest.fixture
def sinks(postgres: EmbeddedPostgres, unique: str) -> Iterator[Callable[..., Sink]]:
    address = postgres.database(unique)
    made: list[Sink] = []

    def make(grant: GrantId = GRANT) -> Sink:
        made.append(Sink(address, grant))
        return made[-1]

    yield make
    for sink in made:
        sink.target.close()


@pytest.fixture
def sink(sinks: Callable[..., Sink]) -> Sink:
    """One that has read a, b and c to the end of the share."""
    sink = sinks()
    sink.begin()
    sink.read(row(0, "a"), row(1, "b"), row(2, "c"))
    sink.complete()
    return sink


def test_what_a_resync_does_not_see_leaves_the_table_at_its_end_and_counts_as_deleted(sink: Sink) -> None:
    assert sink.begin(LATER).next_offset == 0
    sink.read(row(0, "a"), row(2, "c"), now=LATER)
    assert sink.rows() == [("a", "n"), ("b", "n"), ("c", "n")]
    progress = sink.complete(LATER)
    assert sink.rows() == [("a", "n"), ("c", "n")]
    assert progress == Progress(next_offset=3, upserted=3, deleted=1, counted_to=3, reading=2)


def test_a_resync_counts_only_what_was_never_counted(sink: Sink) -> None:
    sink.begin(LATER)
    sink.read(row(0, "a"), row(2, "c"), row(7, "a", "new"), end(8, "c"), row(9, "d"), now=LATER)
    progress = sink.complete(LATER)
    assert sink.rows() == [("a", "new"), ("d", "n")]
    assert progress is not None
    assert (progress.upserted, progress.deleted, progress.faulty) == (5, 2, 0)


def test_a_sink_that_comes_back_in_time_reads_on(sink: Sink) -> None:
    assert sink.begin(NOW + TOMBSTONES_KEPT - timedelta(days=2)) == Progress(next_offset=3, upserted=3)


def test_time_counts_from_when_the_table_was_current_not_from_the_last_record(sink: Sink) -> None:
    nearly = NOW + TOMBSTONES_KEPT - timedelta(days=2)
    sink.complete(nearly)
    assert sink.begin(nearly + timedelta(days=20)).next_offset == 3
    assert sink.begin(nearly + TOMBSTONES_KEPT).next_offset == 0


def test_a_first_reading_that_takes_too_long_begins_again(sinks: Callable[..., Sink]) -> None:
    sink = sinks()
    sink.begin()
    sink.read(row(0, "a"), now=NOW + timedelta(days=20))
    again = sink.begin(LATER)
    assert (again.next_offset, again.reading, again.resyncing) == (0, 2, True)


def test_records_that_waited_in_memory_for_too_long_are_not_applied(sink: Sink) -> None:
    with pytest.raises(ExchangeError) as caught:
        sink.read(row(3, "d"), now=LATER)
    assert caught.value.code == "E_SHARE_POSITION"
    assert sink.rows() == [("a", "n"), ("b", "n"), ("c", "n")]


def test_a_resync_that_was_interrupted_goes_on_where_it_stood(sink: Sink, sinks: Callable[..., Sink]) -> None:
    sink.begin(LATER)
    sink.read(row(0, "a"), now=LATER)
    other = sinks()
    soon = LATER + timedelta(days=1)
    found = other.begin(soon)
    assert (found.next_offset, found.reading, found.resyncing) == (1, 2, True)
    other.read(row(2, "c"), now=soon)
    other.complete(soon)
    assert other.rows() == [("a", "n"), ("c", "n")]


def test_a_sweep_that_was_interrupted_goes_on_and_counts_each_row_once(
    sink: Sink, sinks: Callable[..., Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_module, "_SWEPT_AT_ONCE", 1)
    execute(
        sink.address,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT count(*) FROM cut) < 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN OLD; END $$",
    )
    execute(sink.address, "CREATE TRIGGER refuse BEFORE DELETE ON cut FOR EACH ROW EXECUTE FUNCTION refuse()")
    sink.begin(LATER)
    with pytest.raises(ExchangeError) as caught:
        sink.complete(LATER)
    assert caught.value.code == "E_SINK_UNREACHABLE"
    assert len(sink.rows()) == 2
    execute(sink.address, "DROP TRIGGER refuse ON cut")
    other = sinks()
    assert other.begin(LATER).resyncing
    progress = other.complete(LATER)
    assert other.rows() == []
    assert progress is not None
    assert (progress.deleted, progress.resyncing) == (3, False)


def test_a_straggler_of_the_former_reading_applies_nothing(sink: Sink, sinks: Callable[..., Sink]) -> None:
    other = sinks()
    other.begin(LATER)
    with pytest.raises(ExchangeError) as caught:
        sink.read(row(3, "d"), now=LATER)
    assert caught.value.code == "E_SHARE_POSITION"
    assert sink.complete(LATER) is None
    assert sink.target.stored(GRANT)[0].next_offset == 0


def test_a_sweep_takes_only_rows_that_this_grant_brought(sink: Sink, sinks: Callable[..., Sink]) -> None:
    other = sinks(OTHER)
    other.begin()
    other.read(row(0, "x"))
    execute(sink.address, "INSERT INTO cut VALUES ('by hand', 'n')")
    sink.begin(LATER)
    sink.complete(LATER)
    assert sink.rows() == [("by hand", "n"), ("x", "n")]


def test_a_sweep_takes_only_rows_of_its_partition(sink: Sink) -> None:
    sink.begin(NOW, partition=1)
    sink.read(row(0, "other"), partition=1)
    sink.complete(partition=1)
    sink.begin(LATER)
    sink.read(row(0, "a"), now=LATER)
    sink.complete(LATER)
    assert sink.rows() == [("a", "n"), ("other", "n")]


def test_a_row_stays_when_a_resync_meets_a_version_of_it_that_cannot_be_applied(sink: Sink) -> None:
    sink.begin(LATER)
    sink.read(row(0, "a"), row(4, "b", "nul\0"), now=LATER, faulty={5: b"c"}, end=6)
    progress = sink.complete(LATER)
    assert sink.rows() == [("a", "n"), ("b", "n"), ("c", "n")]
    assert [offset for offset, _ in sink.reported] == [4]
    assert progress is not None
    assert (progress.upserted, progress.deleted, progress.faulty) == (3, 0, 2)


def test_a_place_that_is_gone_is_read_again_and_what_stands_beyond_it_is_counted(sink: Sink) -> None:
    sink.target.read_again(GRANT, 0, NOW, end=1)
    found = sink.begin()
    assert (found.next_offset, found.counted_to, found.reading, found.resyncing) == (0, 1, 2, True)
    sink.read(row(0, "a"), row(1, "z"))
    progress = sink.complete()
    assert sink.rows() == [("a", "n"), ("z", "n")]
    assert progress is not None
    assert (progress.upserted, progress.deleted) == (4, 2)


def test_a_second_resync_sweeps_what_the_first_one_saw(sink: Sink) -> None:
    seen = [row(0, "a"), row(1, "b")]
    for now, found in ((LATER, seen), (LATER + TOMBSTONES_KEPT, seen[1:])):
        sink.begin(now)
        sink.read(*found, now=now)
        sink.complete(now)
    assert sink.rows() == [("b", "n")]


def test_a_grant_that_goes_on_in_another_share_is_read_from_its_beginning_and_all_of_it_is_counted(sink: Sink) -> None:
    found = sink.begin(topic="share.next")
    assert (found.next_offset, found.counted_to, found.resyncing) == (0, 0, True)
    sink.read(row(0, "a", "other cut"), row(1, "d"))
    progress = sink.complete()
    assert sink.rows() == [("a", "other cut"), ("d", "n")]
    assert progress is not None
    assert (progress.upserted, progress.deleted) == (5, 2)
    assert sink.begin(topic="share.next").next_offset == 2

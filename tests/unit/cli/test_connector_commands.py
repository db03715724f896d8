"""`exchange connector` and `exchange faults`: what a clerk of the department sees and does."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from exchange.cli.connector import faults as faults_command
from exchange.cli.connector.shapes import shape_of
from exchange.cli.main import app
from exchange.cli.output import DOES_NOT_HOLD, UNREACHABLE, USAGE
from exchange.connect.reading import CHINA
from exchange.connect.sql.positions import Positions
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled, item_of
from exchange.intake.report import SourceState
from exchange.names import RecordType
from tests.harness.kafka.sink import TOKEN, BrokerService
from tests.harness.sink_database import SinkDatabase
from tests.harness.source_memory import MadeMemory

DEATHS, COMPANIES = "health.deaths", "taxation.companies"
AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
ID = "11010519491231002X"
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The entries of the department's faults log, in place of the topic."""
    entries: list[bytes] = []

    def fold_log(_connection: object, _department: object, fold: faults_command.FaultsFold, _deadline: object) -> None:
        for offset, entry in enumerate(entries):
            fold.add(offset, entry)

    monkeypatch.setattr(faults_command, "fold_log", fold_log)
    monkeypatch.setattr(faults_command, "entry_of", lambda _c, _d, fault, _t: entries[fault.entry])
    return entries


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("EXCHANGE_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("EXCHANGE_CONNECTOR__STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("EXCHANGE_KAFKA__USERNAME", "health")
    monkeypatch.setenv("EXCHANGE_KAFKA__PASSWORD", "secret")
    return lambda *words, **more: CliRunner().invoke(app, words, **more)


@pytest.fixture
def memory(tmp_path: Path) -> MadeMemory:
    return MadeMemory(tmp_path / "state", DEATHS)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SinkDatabase:
    made = SinkDatabase(tmp_path / "taxation.db")
    monkeypatch.setenv("EXCHANGE_CONNECTOR__DATABASE", made.address)
    return made


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokerService]:
    with closing(BrokerService()) as service:
        monkeypatch.setenv("EXCHANGE_API__URL", service.url)
        monkeypatch.setenv("EXCHANGE_API__TOKEN", TOKEN)
        active = {"grant": "g-13", "provider": "market-regulation", "topic": "share.x", "group": "grant.g-13"}
        service.grants = [active | {"schema_id": 100_007, "active": True}]
        yield service


def row_fault(identity: str, at: datetime = AT, **row: str) -> bytes:
    log = Faults(DEATHS, RecordType("population.death"))
    return log.of_row(ExchangeError("E_ROW_UNMAPPED", "field cause: too long"), at, row, identity, None)


def record_fault(key: str, offset: int = 7) -> bytes:
    log = Faults(COMPANIES, RecordType("legal-entity.registration"))
    return log.of_record(ExchangeError("E_APPLY", "check constraint"), AT, ("share.x", 0, offset), key)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    return result.stdout


# --- connector reread, confirm-withdrawals


@pytest.mark.parametrize(
    ("words", "argument"),
    [
        (("--all",), "all"),
        (("--key", ID), f"key {ID}"),
        (("--since", "2026-11-24T08:00:00+08:00"), "since 2026-11-24T00:00:00.000Z"),
    ],
)
def test_a_source_is_asked_to_read_again(run: Run, memory: MadeMemory, words: tuple[str, ...], argument: str) -> None:
    told = done(run("connector", "reread", DEATHS, *words))
    assert memory.requests() == [("reread", argument)]
    assert "is not running on this machine" in told
    assert "exchange run health.deaths" in told
    assert ID not in told


def test_a_key_can_be_kept_out_of_the_shells_history(run: Run, memory: MadeMemory) -> None:
    done(run("connector", "reread", DEATHS, "--key", "-", input=f"{ID}\n"))
    assert memory.requests() == [("reread", f"key {ID}")]


def test_whoever_asks_a_running_source_is_told_when(run: Run, memory: MadeMemory) -> None:
    with memory.held():
        assert "takes it up within a few seconds" in done(run("connector", "reread", DEATHS, "--all"))
        assert "asked for already" in done(run("connector", "reread", DEATHS, "--all"))


@pytest.mark.parametrize(
    "words", [(), ("--all", "--key", "1"), ("--since", "yesterday"), ("--since", "2026-11-24T08:00:00"), ("--key", "")]
)
def test_a_request_that_is_not_clear_is_refused(run: Run, memory: MadeMemory, words: tuple[str, ...]) -> None:
    assert run("connector", "reread", DEATHS, *words).exit_code == USAGE
    assert memory.requests() == []


def test_where_the_source_never_ran_the_command_says_where_to_run_it(run: Run) -> None:
    result = run("connector", "reread", DEATHS, "--all")
    assert result.exit_code == USAGE
    assert "EXCHANGE_CONNECTOR__STATE_FOLDER" in result.output


def test_a_sink_has_nothing_to_read_again_and_the_command_that_helps_is_named(run: Run) -> None:
    result = run("connector", "reread", COMPANIES, "--all")
    assert result.exit_code == USAGE
    assert "exchange faults replay --connector taxation.companies --all" in result.output


def test_withdrawals_are_confirmed_for_the_next_comparison(run: Run, memory: MadeMemory) -> None:
    assert "the next comparison withdraws" in done(run("connector", "confirm-withdrawals", DEATHS))
    assert memory.requests() == [("confirm-withdrawals", "")]


# --- connector status


def test_the_status_of_a_source_tells_rows_comparison_and_what_waits(run: Run, memory: MadeMemory) -> None:
    memory.says(rows=812, compared_at=AT, equal=800, missing=3, gone=9)
    memory.set_aside("1", "2026-11-24T08:00:00.000Z")
    run("connector", "reread", DEATHS, "--key", ID)
    with memory.held():
        told = done(run("connector", "status", DEATHS))
        plain = json.loads(done(run("connector", "status", DEATHS, "--json")))
    assert "812 at the last whole reading" in told
    assert "800 rows equal; 3 missing: sent; 9 gone: withdrawn" in told
    assert "exchange faults list --connector health.deaths" in told
    assert ID not in told
    assert (plain["running"], plain["set_aside"], plain["report"]["missing"]) == (True, 1, 3)
    assert ID not in json.dumps(plain)


def test_a_source_that_does_not_run_is_not_said_to_work(run: Run, memory: MadeMemory) -> None:
    memory.says()
    told = done(run("connector", "status", DEATHS))
    assert "does not run on this machine; what it said last" in told


def test_a_source_that_holds_withdrawals_back_says_how_to_confirm(run: Run, memory: MadeMemory) -> None:
    memory.says(SourceState.STOPPED, "E_WITHDRAWALS", compared_at=AT, held=1_000)
    told = done(run("connector", "status", DEATHS))
    assert "1,000 are gone and NOT withdrawn" in told
    assert "exchange connector confirm-withdrawals health.deaths" in told
    assert "E_WITHDRAWALS" in told


def test_the_first_reading_of_a_source_is_no_comparison(run: Run, memory: MadeMemory) -> None:
    memory.says(rows=812, compared_at=AT)
    assert "the first reading, with nothing to compare it with" in done(run("connector", "status", DEATHS))
    memory.says(rows=812, compared_at=AT, equal=812)
    assert "812 rows equal, nothing missing, changed or gone" in done(run("connector", "status", DEATHS))


def test_a_memory_without_a_report_yet_has_a_status_too(run: Run, memory: MadeMemory) -> None:
    assert "has not said anything of itself yet" in done(run("connector", "status", DEATHS))


@pytest.mark.parametrize(
    ("newest", "moment"),
    [
        (datetime.now(UTC) - timedelta(hours=3, minutes=1), True),
        ((datetime.now(CHINA) - timedelta(hours=3, minutes=1)).replace(tzinfo=None), True),
        ((datetime.now(CHINA) - timedelta(hours=3, minutes=1)).strftime("%Y-%m-%d %H:%M:%S"), True),
        (340100198001011234, False),
        ("A-17", False),
    ],
    ids=["moment", "moment without zone", "text of a moment", "number", "text"],
)
def test_the_status_of_a_source_tells_how_old_the_newest_row_is(
    run: Run, memory: MadeMemory, newest: object, moment: bool
) -> None:
    memory.reads_to(Positions(high=newest).dump())
    told = done(run("connector", "status", DEATHS))
    (plain,) = [json.loads(done(run("connector", "status", DEATHS, "--json")))["cursor"]]
    assert plain["column"] == "updated_at"
    assert ("changed 3h ago" in told) is moment
    assert (plain["age_seconds"] is not None and 10_800 < plain["age_seconds"] < 14_400) is moment
    assert str(newest) not in told if not moment else plain["newest"].endswith("Z")


@pytest.mark.parametrize("cursor", [None, {}, {"form": 99}, {"form": 1}, {"form": 1, "pass": 3}, [], "x"])
def test_a_cursor_that_tells_nothing_does_not_spoil_the_status(run: Run, memory: MadeMemory, cursor: Any) -> None:
    if cursor is not None:
        memory.reads_to(cursor)
    assert "updated_at: nothing was read along it yet" in done(run("connector", "status", DEATHS))
    plain = json.loads(done(run("connector", "status", DEATHS, "--json")))["cursor"]
    assert plain == {"column": "updated_at", "newest": None, "age_seconds": None}


def test_a_source_that_does_not_run_says_how_to_start_it(run: Run, memory: MadeMemory) -> None:
    assert "; start it with `exchange run health.deaths`" in done(run("connector", "status", DEATHS))
    with memory.held():
        assert "start it" not in done(run("connector", "status", DEATHS))


def test_the_status_of_a_sink_tells_grant_progress_and_what_waits(
    run: Run, database: SinkDatabase, broker: BrokerService
) -> None:
    database.progress("g-13", 0, 812)
    database.progress("g-12", 0, 5)
    database.waits("g-13", "k1")
    told = done(run("connector", "status", COMPANIES))
    plain = json.loads(done(run("connector", "status", COMPANIES, "--json")))
    assert "g-13 of market-regulation" in told
    assert "partition 0 up to offset 812" in told
    assert [one["grant"] for one in plain["progress"]] == ["g-13"]
    assert plain["set_aside"] == 1


def test_what_cannot_be_had_is_told_and_the_rest_all_the_same(
    run: Run, database: SinkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_API__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("EXCHANGE_API__TOKEN", TOKEN)
    database.progress("g-13", 0, 812)
    result = run("connector", "status", COMPANIES)
    assert result.exit_code == UNREACHABLE
    assert "not known: E_API_UNREACHABLE" in result.output
    assert "partition 0 up to offset 812" in result.output


def test_a_database_without_any_of_our_tables_is_a_sink_that_has_not_begun(
    run: Run, tmp_path: Path, broker: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_CONNECTOR__DATABASE", f"sqlite:///{tmp_path / 'new.db'}")
    assert "nothing has been applied yet" in done(run("connector", "status", COMPANIES))


# --- faults list, show


def test_what_waits_is_listed_with_what_helps(run: Run, log: list[bytes]) -> None:
    settled = Faults(DEATHS, RecordType("population.death")).settled("2", Settled.SUBMITTED, AT)
    log += [row_fault("1", cause="x"), row_fault("2"), settled]
    told = done(run("faults", "list"))
    assert item_of(DEATHS, "1") in told
    assert item_of(DEATHS, "2") not in told
    assert "E_ROW_UNMAPPED: field cause: too long" in told
    assert "1  health.deaths  E_ROW_UNMAPPED" in told
    assert "→ correct the row or the connector's mapping" in told
    assert item_of(DEATHS, "2") in done(run("faults", "list", "--all"))


def test_nothing_that_waits_is_said_in_words(run: Run, log: list[bytes]) -> None:
    assert done(run("faults", "list")).strip() == "nothing waits"


def test_a_long_list_is_cut_and_says_so(run: Run, log: list[bytes]) -> None:
    log += [row_fault(str(number)) for number in range(9)]
    told = done(run("faults", "list", "--limit", "3"))
    assert told.count("field cause: too long") == 3
    assert "there are more than these 3" in told
    plain = json.loads(done(run("faults", "list", "--limit", "3", "--json")))
    assert (len(plain["items"]), plain["more"], plain["counts"][0]["waiting"]) == (3, True, 9)


def test_a_code_that_does_not_exist_is_wrong_use(run: Run, log: list[bytes]) -> None:
    assert run("faults", "list", "--code", "E_NOTHING").exit_code == USAGE


def test_a_row_is_shown_by_its_shape_unless_its_own_department_asks_for_more(run: Run, log: list[bytes]) -> None:
    log.append(row_fault("1", id_number=ID, name="张三", died="1984-13-02"))
    item = item_of(DEATHS, "1")
    told = done(run("faults", "show", item[:6]))
    assert "“9999-99-99”" in told
    assert "“文文”" in told
    assert f"exchange faults replay {item}" in told
    for value in (ID, "张三", "1984-13-02"):
        assert value not in told
        assert value not in done(run("faults", "show", item, "--json"))
        assert value in done(run("faults", "show", item, "--unmasked"))


def test_an_item_that_is_not_in_the_log_is_told(run: Run, log: list[bytes]) -> None:
    for item in ("0123456789abcdef", "*", "x", "12"):
        result = run("faults", "show", item)
        assert (result.exit_code, "has no such item" in result.output) == (USAGE, True)


def test_only_a_department_has_a_faults_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for principal in ("admin", "exchange-broker", ""):
        monkeypatch.setenv("EXCHANGE_KAFKA__USERNAME", principal)
        result = run("faults", "list")
        assert result.exit_code == USAGE
        assert "EXCHANGE_KAFKA__USERNAME" in result.output


# --- faults replay


def test_a_row_is_replayed_by_a_request_to_its_source(run: Run, log: list[bytes], memory: MadeMemory) -> None:
    log.append(row_fault("1"))
    item = item_of(DEATHS, "1")
    told = done(run("faults", "replay", item[:8]))
    assert memory.requests() == [("replay", item)]
    assert "health.deaths: rows to be read again: 1; health.deaths is not running" in told


def test_everything_of_a_source_is_replayed_without_reading_the_log(run: Run, memory: MadeMemory) -> None:
    assert "all that waits is read again" in done(run("faults", "replay", "--connector", DEATHS, "--all"))
    assert memory.requests() == [("replay", "all")]


def test_a_record_is_replayed_by_a_mark_in_the_sinks_database(
    run: Run, log: list[bytes], database: SinkDatabase, broker: BrokerService
) -> None:
    database.waits("g-13", "k1")
    database.waits("g-13", "k2")
    log.append(record_fault("k1"))
    told = done(run("faults", "replay", item_of(COMPANIES, "k1")))
    assert database.asked() == [("g-13", "k1")]
    assert "records to be applied again: 1" in told


def test_replaying_a_sink_leaves_the_records_of_its_neighbours_alone(
    run: Run, database: SinkDatabase, broker: BrokerService
) -> None:
    database.waits("g-13", "k1")
    database.waits("g-99", "k1")
    done(run("faults", "replay", "--connector", COMPANIES, "--all"))
    assert database.asked() == [("g-13", "k1")]


def test_a_sink_of_which_nothing_waits_says_so(run: Run, database: SinkDatabase, broker: BrokerService) -> None:
    told = done(run("faults", "replay", "--connector", COMPANIES, "--all"))
    assert "nothing of it waits in its database" in told


def test_what_waits_no_longer_is_told_and_what_does_is_replayed(run: Run, log: list[bytes], memory: MadeMemory) -> None:
    log += [row_fault("1"), row_fault("2")]
    log.append(Faults(DEATHS, RecordType("population.death")).settled("2", Settled.GONE, AT))
    told = done(run("faults", "replay", item_of(DEATHS, "1"), item_of(DEATHS, "2")))
    assert f"{item_of(DEATHS, '2')} waits no longer: gone" in told
    assert memory.requests() == [("replay", item_of(DEATHS, "1"))]


@pytest.mark.parametrize("words", [(), ("--all",), ("--connector", DEATHS), ("abcd", "--connector", DEATHS, "--all")])
def test_a_replay_of_nothing_in_particular_is_wrong_use(run: Run, log: list[bytes], words: tuple[str, ...]) -> None:
    assert run("faults", "replay", *words).exit_code == USAGE


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("1984-13-02", "“9999-99-99”"),
        ("Zhang Wei", "“Xxxxx Xxx”"),
        ("张 三", "“文 文”"),
        ("１２", "“９９”"),
        ("é", "“文”"),
        (None, "nothing"),
        ("", "“”"),
        ("9" * 100, f"“{'9' * 80}” and 20 more"),
    ],
)
def test_a_shape_tells_the_form_and_never_the_value(value: str | None, shape: str) -> None:
    assert shape_of(value) == shape


def test_a_bug_of_a_command_is_told_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError(ID)

    monkeypatch.setattr(faults_command, "fold_log", broken)
    result = run("faults", "list")
    assert result.exit_code == DOES_NOT_HOLD
    assert "E_INTERNAL: KeyError at " in result.output
    assert ID not in result.output
    assert "Traceback" not in result.output


def test_a_file_that_a_command_cannot_use_is_named_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/state")

    monkeypatch.setattr(faults_command, "fold_log", broken)
    result = run("faults", "list")
    assert result.exit_code == USAGE
    assert "E_SETTINGS: /srv/state: Permission denied" in result.output
    assert "Traceback" not in result.output

"""`exchange demo` as a person runs it: twice on one folder, with a file of registrations as the public register is."""

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from exchange import settings as settings_module
from exchange.catalogue.load import load
from exchange.demo.province.dirt import COLUMNS, RegisterFile, write_register
from exchange.demo.province.people import Company, Population
from exchange.demo.province.registers import FAULTS, TABLES, Kind, Registers, generate
from exchange.demo.story import ACTS, COMPANIES_SOURCE, DEPARTMENTS, SINKS, SOURCES
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.testing.leaks import find_leaks

pytestmark = pytest.mark.kafka
COMPANIES = "legal-entity.registration"
RECORDS = 100
AUTHORITY = "11340000EXCH00018B"
WRONG_CODE = "E_CREDIT_CODE_CHECK_DIGIT"
SECONDS = 400
FOREIGN = ("credit.penalty", "e-licence.licence")
"""Record types of which a department submits another one's key before the second run."""
CHANGES = 6
"""Three reports of a death, and three recalls of another one."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the demo."""

    folder: Path
    status: int
    output: str
    summary: dict[str, Any]
    ledger: Path
    left: list[str]
    """Processes that outlived it."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Both runs on the folder, and the file that both read."""

    register: RegisterFile
    companies: list[Company]
    held: dict[str, int]
    """Rows of the sources' tables after the first run."""
    deaths: "Deaths"
    """What departments changed between the runs."""
    first: Run
    second: Run


@dataclass(frozen=True, slots=True)
class Deaths:
    """A death that three departments know of and recall, and one of which the three learn, of people with pensions."""

    recalled: str
    stopped_before: int
    """Reports for which the pension of the recalled one was stopped before."""
    learnt: str


@cache
def made() -> Registers:
    """What the demo fills the departments' databases with."""
    departments = load(settings_module.load().catalogue).departments
    return generate(RECORDS, {str(slug): one.credit_code for slug, one in departments.items()}, Kind(registered=False))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One of our commands in a process of its own."""
    words = [sys.executable, "-m", "exchange", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)


def run(folder: Path, register: RegisterFile, name: str) -> Run:
    summary, ledger = folder.parent / f"{name}.json", folder.parent / f"{name}.jsonl"
    options = ["--records", str(RECORDS), "--folder", str(folder), "--legal-entities", str(register.path)]
    done = command("demo", *options, "--summary", str(summary), "--ledger", str(ledger))
    told = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {}
    return Run(folder, done.returncode, done.stdout + done.stderr, told, ledger, processes_of(folder))


def processes_of(folder: Path) -> list[str]:
    """Processes that name the folder, on their command line or in their environment: every one of a demo does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
        if str(folder).encode() in words:
            found.append(process.name)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    root = tmp_path_factory.mktemp("demo")
    companies = Population(seed=7).companies(600, AUTHORITY)
    register = write_register(root / "registrations.csv.gz", companies)
    first = run(root / "folder", register, "first")
    with EmbeddedPostgres(root / "folder" / "postgres").start() as database:
        held = {
            source: rows(database, source.partition(".")[0], f"SELECT count(*) FROM {TABLES[source]}")[0][0]
            for source in SOURCES
            if source != COMPANIES_SOURCE
        }
        deaths = change_deaths(database)
        submit_keys_of_others(database)
    return Runs(register, companies, held, deaths, first, run(root / "folder", register, "second"))


def change_deaths(database: EmbeddedPostgres) -> Deaths:
    """Three departments recall a death, and report another one."""
    known = {row["deceased_id"] for row in made().rows["civil-affairs.cremations"]}
    known &= {row["resident_id"] for row in made().rows["public-security.deaths"]}
    dead = next(row["resident_id"] for row in made().rows["health.deaths"] if row["resident_id"] in known)
    gone = {row["resident_id"] for row in made().rows["health.deaths"]}
    alive = next(row["resident_id"] for row in made().pensions if row["resident_id"] not in gone)
    change(
        database, "human-resources", "INSERT INTO pensions VALUES (%s, '2020-01-01', 2000) ON CONFLICT DO NOTHING", dead
    )
    ((reports,),) = rows(
        database, "human-resources", f"SELECT reports FROM stopped_pensions WHERE resident_id = '{dead}'"
    )
    change(
        database, "health", "UPDATE deaths SET reversed = true, reversed_at = '2026-07-01' WHERE resident_id = %s", dead
    )
    change(
        database, "civil-affairs", "UPDATE cremations SET mistaken_since = '2026-07-01' WHERE deceased_id = %s", dead
    )
    change(
        database,
        "public-security",
        "UPDATE death_cancellations SET restored_on = '2026-07-01' WHERE resident_id = %s",
        dead,
    )
    change(
        database,
        "health",
        "INSERT INTO deaths (provider_code, resident_id, name, death_date, source, registered_at)"
        " VALUES ('11340000EXCH000341', %s, '刘英', '2026-07-01', '1', '2026-07-02')",
        alive,
    )
    change(
        database,
        "civil-affairs",
        "INSERT INTO cremations (cremation_number, funeral_home, deceased_id, deceased_name, died_on, cremated_on)"
        " VALUES ('3499-99999999', '云溪殡仪馆', %s, '刘英', '2026-07-01', '2026-07-03')",
        alive,
    )
    change(
        database,
        "public-security",
        "INSERT INTO death_cancellations (resident_id, name, sex, died_on, cancelled_on)"
        " VALUES (%s, '刘英', '2', '2026-07-01', '2026-07-10')",
        alive,
    )
    return Deaths(dead, reports, alive)


def submit_keys_of_others(database: EmbeddedPostgres) -> None:
    """Two departments put records of market regulation into their own registers, under its keys."""
    for department, table in (("ecology-and-environment", "penalties"), ("data-resources", "licences")):
        row = made().rows[f"market-regulation.{table}"][0]
        columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
        change(database, department, f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())


def change(database: EmbeddedPostgres, department: str, statement: str, *parameters: Any) -> None:
    address = database.database(department).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address) as session:
        assert session.execute(statement.encode(), parameters).rowcount in (0, 1)


@pytest.fixture(scope="module")
def database(runs: Runs) -> Iterator[EmbeddedPostgres]:
    """The departments' databases as the demo has left them."""
    with EmbeddedPostgres(runs.first.folder / "postgres").start() as running:
        yield running


def rows(database: EmbeddedPostgres, department: str, statement: str) -> list[tuple[Any, ...]]:
    address = database.database(department).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address) as session:
        return session.execute(statement.encode()).fetchall()


def test_both_runs_end_well_with_closed_books(runs: Runs) -> None:
    for one in (runs.first, runs.second):
        print(f"before_records: {one.summary['seconds']['before_records']} s of {one.summary['seconds']}")
        assert one.status == 0, one.output
        assert one.summary["books_closed"]
        assert one.summary["demands"] == {"serving": len(SINKS), "refused": 1, "unmatched": 1, "submitted": 1}


def test_all_record_types_of_twelve_and_more_departments_travel(runs: Runs) -> None:
    assert len(DEPARTMENTS) >= 12
    assert len(ACTS) >= 15
    assert len(runs.first.summary["by_record_type"]) == 11
    for counts in runs.first.summary["by_record_type"].values():
        assert counts["admitted"] > 0
        assert counts["handed_over"] == counts["forwarded"] > 0


def test_a_demand_refused_one_overdue_one_granted_in_part_and_one_unmatched_are_told_with_what_they_do_to_the_rate(
    runs: Runs,
) -> None:
    counted = len(ACTS) + 1
    for one in (runs.first, runs.second):
        for words in ("refused: ", "extended by 5 working", "overdue", "partially granted: 10", "unmatched: "):
            assert words in one.output
        assert one.summary["satisfaction"]["strict"] == (len(SINKS) - 1) / counted
        assert one.summary["satisfaction"]["weighted"] == pytest.approx((len(SINKS) - 1 + 10 / 11) / counted)


def test_the_first_run_admits_every_row_but_the_wrong_ones(runs: Runs) -> None:
    register, wrong = runs.register, len(runs.register.wrong_codes)
    found = runs.first.summary["by_record_type"][COMPANIES]
    counts = ("collected", "unmapped", "submitted", "admitted", "quarantined", "unchanged", "superseded", "in_flight")
    assert {name: found[name] for name in counts} == {
        "collected": register.rows,
        "unmapped": register.unmapped,
        "submitted": register.rows - register.unmapped,
        "admitted": register.rows - register.unmapped - wrong,
        "quarantined": wrong,
        "unchanged": 0,
        "superseded": 0,
        "in_flight": 0,
    }
    dirty = Counter({WRONG_CODE: wrong})
    for connector, number in made().dirty.items():
        dirty[FAULTS[connector].code] += number
    assert runs.first.summary["quarantined_by_code"] == {code: number for code, number in dirty.items() if number}
    assert found["forwarded"] + found["out_of_scope"] == found["admitted"]
    assert found["handed_over"] == found["forwarded"]


def test_the_second_run_submits_only_what_has_changed(runs: Runs) -> None:
    second = runs.second.summary["by_record_type"][COMPANIES]
    assert set(second.values()) == {0}
    assert runs.second.summary["records"]["admitted"] == CHANGES
    assert runs.second.summary["quarantined_by_code"] == {"E_KEY_NOT_OWNED": len(FOREIGN)}


def test_the_summary_counts_what_the_registers_hold(runs: Runs) -> None:
    """Admitted is what the sources' own databases hold, but for the rows that were made dirty."""
    good: Counter[str] = Counter()
    for connector, held in runs.held.items():
        assert held == len(made().rows[connector])
        good[SOURCES[connector]] += held - made().dirty[connector]
    for record_type, number in good.items():
        assert runs.first.summary["by_record_type"][record_type]["admitted"] == number
        changed = CHANGES if record_type == "population.death" else int(record_type in FOREIGN)
        assert runs.second.summary["by_record_type"][record_type]["submitted"] == changed
    sums = runs.first.summary["records"]
    for name, total in sums.items():
        assert total == sum(counts[name] for counts in runs.first.summary["by_record_type"].values())


def test_the_ledger_alone_gives_the_rate_of_the_summary(runs: Runs) -> None:
    for one in (runs.first, runs.second):
        assert command("ledger", "verify", "--from", str(one.ledger)).returncode == 0
        told = json.loads(command("ledger", "rate", "--from", str(one.ledger), "--json").stdout)
        assert {variant: told[variant] for variant in ("strict", "weighted")} == one.summary["satisfaction"]


def test_the_sink_equals_a_recount_of_the_file_in_sql(runs: Runs, database: EmbeddedPostgres) -> None:
    """The file is read again by PostgreSQL, with its own words for each rule."""
    address = database.database("taxation").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address) as session:
        columns = ", ".join(f'"{name}" text' for name in COLUMNS)
        session.execute(f"CREATE TEMP TABLE file (number int, {columns})".encode())
        with session.cursor().copy(b"COPY file FROM STDIN") as copy:
            for number, cells in enumerate(_cells(runs.register.path)):
                copy.write_row((number, *cells))
        expected = session.execute(
            """
            SELECT upper("统一社会信用代码"), "企业名称", "注册日期"::date,
                   10000 * nullif(substring("注册资金" FROM '^[0-9.]+'), '')::numeric,
                   CASE WHEN "注册资金" = 'N/A' THEN NULL WHEN "注册资金" LIKE '%%美元%%' THEN 'USD'
                        WHEN "注册资金" LIKE '%%香港元%%' THEN 'HKD' WHEN "注册资金" LIKE '%%欧元%%' THEN 'EUR'
                        WHEN "注册资金" LIKE '%%日元%%' THEN 'JPY' ELSE 'CNY' END,
                   CASE "地区" WHEN '合肥' THEN '340100' ELSE '340800' END, nullif("注册地址", 'N/A'), '1'
            FROM file
            WHERE "地区" IN ('合肥', '安庆') AND "统一社会信用代码" <> ALL (%s) AND "注册日期" <> '1989-02-30'
            """,
            (list(runs.register.wrong_codes),),
        ).fetchall()
        found = session.execute(
            "SELECT credit_code, name, established, capital_amount, capital_currency, region, address, status"
            " FROM companies"
        ).fetchall()
    assert len(expected) == runs.first.summary["by_record_type"][COMPANIES]["forwarded"] > 50
    assert sorted(found) == sorted(expected)


def _cells(file: Path) -> list[list[str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))[1:]


def test_of_two_departments_with_one_key_the_owner_is_believed_and_the_other_waits_in_quarantine(
    runs: Runs, database: EmbeddedPostgres
) -> None:
    for record_type in FOREIGN:
        found = runs.second.summary["by_record_type"][record_type]
        assert (found["submitted"], found["admitted"], found["quarantined"]) == (1, 0, 1)
    penalty = made().rows["market-regulation.penalties"][0]
    taken = rows(database, "development-and-reform", "SELECT provider_code, document_number FROM penalties")
    assert taken.count((penalty["provider_code"], penalty["document_number"])) == 1


def test_one_death_from_three_departments_stops_one_pension_and_its_recall_lifts_that(
    runs: Runs, database: EmbeddedPostgres
) -> None:
    deaths = runs.deaths
    assert deaths.stopped_before == 3
    taken = rows(database, "human-resources", "SELECT resident_id, source, reversed FROM deaths ORDER BY source")
    assert [one[1:] for one in taken if one[0] == deaths.recalled] == [("1", True), ("2", True), ("3", True)]
    assert [one[1:] for one in taken if one[0] == deaths.learnt] == [("1", False), ("2", False), ("3", False)]
    stopped = rows(database, "human-resources", "SELECT resident_id, reports FROM stopped_pensions")
    assert [one for one in stopped if one[0] == deaths.learnt] == [(deaths.learnt, 3)]
    assert deaths.recalled not in dict(stopped)


def test_pensions_are_stopped_as_a_recount_over_the_three_departments_says(
    runs: Runs, database: EmbeddedPostgres
) -> None:
    reports = [
        *rows(database, "health", "SELECT resident_id, reversed FROM deaths"),
        *rows(database, "civil-affairs", "SELECT deceased_id, mistaken_since IS NOT NULL FROM cremations"),
        *rows(database, "public-security", "SELECT resident_id, restored_on IS NOT NULL FROM death_cancellations"),
    ]
    assert sorted(rows(database, "human-resources", "SELECT resident_id, reversed FROM deaths")) == sorted(reports)
    standing = Counter(resident for resident, recalled in reports if not recalled)
    pensions = {resident for (resident,) in rows(database, "human-resources", "SELECT resident_id FROM pensions")}
    stopped = dict(rows(database, "human-resources", "SELECT resident_id, reports FROM stopped_pensions"))
    assert stopped == {resident: number for resident, number in standing.items() if resident in pensions}
    assert runs.deaths.learnt in stopped


def test_no_process_is_left_behind(runs: Runs) -> None:
    for one in (runs.first, runs.second):
        assert one.left == []


def test_nothing_that_the_demo_says_or_logs_holds_a_value_of_the_file(runs: Runs) -> None:
    texts = {file.name: file.read_text(errors="replace") for file in runs.first.folder.rglob("*.log")}
    assert {"admit.log", "serve.log", "kafka.log", "postgres.log"} <= texts.keys()
    texts |= {"first": runs.first.output, "second": runs.second.output}
    values = [
        value
        for company in runs.companies
        for value in (company.credit_code, company.name, company.address, company.old_number)
        if value is not None
    ]
    assert find_leaks(texts, [*values, *runs.register.wrong_codes]) == {}

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
from exchange.cli.demo.story import ACTS, COMPANIES_SOURCE, DEPARTMENTS, SINKS, SOURCES
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.testing.dirt import COLUMNS, RegisterFile, write_register
from exchange.testing.leaks import find_leaks
from exchange.testing.people import Company, Population
from exchange.testing.registers import FAULTS, TABLES, Kind, Registers, generate

pytestmark = pytest.mark.kafka
COMPANIES = "legal-entity.registration"
RECORDS = 100
AUTHORITY = "11340000EXCH00018B"
WRONG_CODE = "E_CREDIT_CODE_CHECK_DIGIT"
SECONDS = 400


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
    first: Run
    second: Run


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
    return Runs(register, companies, *(run(root / "folder", register, name) for name in ("first", "second")))


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
        assert one.summary["demands"] == {"serving": len(SINKS), "refused": 1}
        strict, weighted = 17 / 19, (17 + 10 / 11) / 19  # one demand is refused, and one is granted without a field
        assert one.summary["satisfaction"] == {"strict": strict, "weighted": pytest.approx(weighted)}


def test_all_record_types_of_twelve_and_more_departments_travel(runs: Runs) -> None:
    assert len(DEPARTMENTS) >= 12
    assert len(ACTS) >= 15
    assert len(runs.first.summary["by_record_type"]) == 11
    for counts in runs.first.summary["by_record_type"].values():
        assert counts["admitted"] > 0
        assert counts["handed_over"] == counts["forwarded"] > 0


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


def test_the_second_run_admits_nothing_and_counts_every_good_row_as_unchanged(runs: Runs) -> None:
    first = runs.first.summary["by_record_type"][COMPANIES]
    second = runs.second.summary["by_record_type"][COMPANIES]
    wrong = len(runs.register.wrong_codes)
    counts = ("collected", "submitted", "admitted", "unchanged", "quarantined", "forwarded", "handed_over")
    assert {name: second[name] for name in counts} == {
        "collected": first["collected"],
        "submitted": first["submitted"],
        "admitted": 0,
        "unchanged": first["admitted"],
        "quarantined": wrong,
        "forwarded": 0,
        "handed_over": 0,
    }
    assert runs.second.summary["records"]["admitted"] == 0
    assert runs.second.summary["quarantined_by_code"] == {WRONG_CODE: wrong}


def test_the_summary_counts_what_the_registers_hold(runs: Runs, database: EmbeddedPostgres) -> None:
    """Admitted is what the sources' own databases hold, but for the rows that were made dirty."""
    good: Counter[str] = Counter()
    for connector, record_type in SOURCES.items():
        if connector != COMPANIES_SOURCE:
            department = connector.partition(".")[0]
            ((held,),) = rows(database, department, f"SELECT count(*) FROM {TABLES[connector]}")
            assert held == len(made().rows[connector])
            good[record_type] += held - made().dirty[connector]
    for record_type, number in good.items():
        assert runs.first.summary["by_record_type"][record_type]["admitted"] == number
        assert runs.second.summary["by_record_type"][record_type]["submitted"] == 0
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


def test_each_death_stops_a_pension_once_however_many_departments_report_it(
    runs: Runs, database: EmbeddedPostgres
) -> None:
    """Counted again from the three departments' own tables and from the pensions."""
    sources = ("health.deaths", "civil-affairs.cremations", "public-security.deaths")
    reports = [(row.get("resident_id") or row["deceased_id"], row) for name in sources for row in made().rows[name]]
    taken = rows(database, "human-resources", "SELECT resident_id, provider_code FROM deaths")
    assert sorted(resident for resident, _ in taken) == sorted(resident for resident, _ in reports)
    assert len(set(taken)) == len(taken)
    standing = Counter(
        resident
        for resident, row in reports
        if not (row.get("reversed") or "restored_on" in row or "mistaken_since" in row)
    )
    pensions = {resident for (resident,) in rows(database, "human-resources", "SELECT resident_id FROM pensions")}
    stopped = dict(rows(database, "human-resources", "SELECT resident_id, reports FROM stopped_pensions"))
    assert stopped == {resident: number for resident, number in standing.items() if resident in pensions}


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

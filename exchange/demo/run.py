"""The steps of the demo, in order."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.demo import agreement, databases, prologue
from exchange.demo.cases import cases
from exchange.demo.flow import Counts, look
from exchange.demo.places import Places
from exchange.demo.platform import Platform
from exchange.demo.progress import follow
from exchange.demo.story import ACTS, COMPANIES_SOURCE, DEPARTMENTS, FILE_SOURCE, PAST, PENSIONS, SINKS, SOURCES
from exchange.demo.summary import Summary, by_state
from exchange.errors import ExchangeError
from exchange.ledger.events.event import write_line
from exchange.ledger.store.follower import read_ledger
from exchange.web.client import ApiClient

_console = Console(stderr=False)


class Steps:
    """Says what is being done, and keeps how long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, phase: str, words: str) -> Iterator[None]:
        """One step: its words while it runs, a tick and its time when it is done."""
        begin = time.monotonic()
        with _console.status(words):
            yield
        self.seconds[phase] = time.monotonic() - begin
        _console.print(f"[green]✓[/green] {words} [dim]({self.seconds[phase]:.1f} s)[/dim]", highlight=False)


@dataclass(frozen=True, slots=True)
class Options:
    """What a demo is asked for."""

    records: int
    """Size of the generated part."""
    legal_entities: Path | None = None
    """Real registrations (CSV, also .gz) instead of generated ones."""
    folder: Path | None = None
    """Where everything lies; a fresh folder when None."""
    nodes: int | None = None
    ledger: Path | None = None
    """Where the ledger is exported to at the end."""
    summary: Path | None = None
    """Where the summary is written to as JSON."""
    keep: bool = False
    """Whether everything goes on running until Ctrl-C."""


def run(options: Options) -> None:
    """Run the demo and show its summary. Raises ExchangeError(E_BOOKS_OPEN) when the books do not close."""
    stop = _stop_on_signal()
    places = Places.choose(options.folder)
    _console.print(f"Everything of this demo lies in [bold]{places.root}[/bold]", highlight=False, soft_wrap=True)
    with Platform(places, nodes=options.nodes) as platform:
        told = _run(platform, options.records, options.legal_entities, stop)
        told.show(_console)
        if options.summary is not None:
            told.write(options.summary)
        if options.ledger is not None:
            _export(platform, options.ledger)
            _console.print(
                f"the ledger: {options.ledger} (`exchange ledger rate --from {options.ledger}`)", highlight=False
            )
        if options.keep:
            _show_addresses(told, platform)
            stop.wait()
    if not told.closed:
        raise ExchangeError("E_BOOKS_OPEN", f"the books do not close; logs: {places.logs}")


def _run(platform: Platform, records: int, file: Path | None, stop: threading.Event) -> Summary:
    steps = Steps()
    begin = time.monotonic()
    sources = dict(SOURCES)
    if file is not None:
        sources[FILE_SOURCE] = sources.pop(COMPANIES_SOURCE)
    with steps.step("servers", "Apache Kafka and PostgreSQL start"):
        platform.start_servers()
        prologue.tell(platform)
    with steps.step("broker", "the broker service starts and reads its ledger"):
        platform.start_broker()
        agreement.wait_ready(platform)
    with _operator(platform) as operator:
        with steps.step("departments", f"the catalogue becomes law; {len(DEPARTMENTS)} departments get their secrets"):
            agreement.register_departments(operator, platform.places, DEPARTMENTS)
            platform.start_lines()
        with steps.step("registers", "the departments' own databases are filled with generated people and companies"):
            tables = [source for source in sources if source != FILE_SOURCE]
            rows = databases.fill(platform, records, tables, settings_module.load())
        with steps.step(
            "demands", f"{len(ACTS)} demands, their replies and grants; one more has waited for {PAST.days_ago} days"
        ):
            agreement.play(platform, ACTS)
            agreement.wait_books(platform, operator)
        before = look(operator, platform.places, sources)
        _start_connectors(platform, sources, file)
        steps.seconds["before_records"] = time.monotonic() - begin
        with _timed(steps, "records"):
            after = follow(platform, operator, (sources, rows, file), before, stop)
            agreement.wait_serving(platform, operator, ACTS)
        told = _summary(platform, operator, after.since(before), steps)
    told.notes.append(_of_pensions(platform))
    return told


def _start_connectors(platform: Platform, sources: Mapping[str, str], file: Path | None) -> None:
    """One process for each department, with all its sources and sinks."""
    names = (*SINKS, *sources)
    for department in DEPARTMENTS:
        own = [name for name in names if name.partition(".")[0] == department]
        platform.start_connectors(department, own, file.absolute() if file is not None and FILE_SOURCE in own else None)


def _of_pensions(platform: Platform) -> str:
    with databases.connect(platform, PENSIONS) as session:
        found = session.execute("SELECT count(*), coalesce(sum(reports), 0) FROM stopped_pensions").fetchone()
    assert found is not None
    return f"pensions stopped: {found[0]:,}, each once, by {found[1]:,} reports of three departments"


def _summary(platform: Platform, operator: ApiClient, counts: Counts, steps: Steps) -> Summary:
    rate = operator.get("/v1/satisfaction")
    addresses = {
        "api": platform.http,
        "console": f"{platform.http}/console",
        "docs": f"{platform.http}/docs",
        "metrics": platform.metrics("serve"),
        "kafka": platform.kafka.bootstrap_servers,
        **{f"{child}_metrics": platform.metrics(child) for child in platform.children.names() if child != "serve"},
    }
    satisfaction = {"strict": rate["strict"], "weighted": rate["weighted"]}
    demands = list(operator.items("/v1/demands"))
    grants = {grant["grant"]: grant for grant in operator.items("/v1/grants")}
    return Summary(counts, by_state(demands), satisfaction, steps.seconds, addresses, cases=cases(demands, grants))


def _export(platform: Platform, file: Path) -> None:
    schemas = SchemaRepository.load(settings_module.load().schemas)
    events = read_ledger(platform.ledger_connection(), schemas)
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(write_line(event) for event in events)


@contextmanager
def _timed(steps: Steps, phase: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    steps.seconds[phase] = time.monotonic() - begin


def _operator(platform: Platform) -> Any:
    return agreement.client(platform, platform.places.secret_file("operator.token"))


def _show_addresses(told: Summary, platform: Platform) -> None:
    for name, address in told.addresses.items():
        _console.print(f"  {name:40} {address}", highlight=False, soft_wrap=True)
    token = platform.places.secret_file("operator.token")
    _console.print("\nTo sign in to the console as operator, the token in this file:", highlight=False)
    _console.print(f"  {token}", highlight=False, soft_wrap=True)
    _console.print("To use the other commands as operator, in another terminal:", highlight=False)
    _console.print(f"  source {platform.write_operator_file()}", highlight=False, soft_wrap=True)
    _console.print("  exchange demand list; exchange grant list; exchange books", highlight=False)
    _console.print("Ctrl-C ends everything.")


def _stop_on_signal() -> threading.Event:
    """Ctrl-C and SIGTERM end the demo, also in the middle, through the clean-up of everything started."""
    stop = threading.Event()

    def told(_number: int, _frame: object) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stop

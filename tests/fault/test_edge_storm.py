"""A storm on the edges: writers, restarts, passwords and kills; then every table holds what SQL says it should."""

import itertools
import json
import os
import random
import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.embedded.processes import exchange_command
from tests.harness.edges.departments import (
    COMMISSION,
    DEATHS,
    REGISTER,
    REGISTRATIONS,
    Commission,
    change_password,
    register_of,
    reports_of,
    session_of,
)
from tests.harness.edges.writers import Writers
from tests.harness.kafka.province import Province
from tests.harness.mariadb import mariadb
from tests.harness.sql_recount import RECOUNTS

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
SECONDS = float(os.environ.get("EXCHANGE_STORM_SECONDS") or 600)
SOURCES = (REGISTRATIONS, DEATHS)
SINKS = ("taxation.companies", "human-resources.deaths")
COMPANIES, PENSIONS = RECOUNTS
KILL_SECONDS = 4.0
"""Between two kills: each of the four connectors falls every sixteen seconds, less often than it is given up."""
WEATHER_SECONDS = 40.0
WRITERS = 3
SETTLE_SECONDS = 180.0
WRONG_CHANGES, WRONG_ROWS = 40, 20


class Storm:
    """A province whose register lies in PostgreSQL and whose reports of deaths lie in MariaDB."""

    def __init__(self, province: Province, commission: Commission) -> None:
        self.province = province
        self.commission = commission
        self._drawn = random.Random(SEED)
        self._columns = itertools.count()
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        print(f"storm seed={SEED} at={time.monotonic() - self._began:.1f}s {what}", flush=True)

    # what happens

    def kill(self, name: str) -> None:
        """End a connector as a power cut would; it is started again."""
        self.tell(f"kill -9 {name}")
        self.province.platform.children.kill(name)

    def weather(self) -> None:
        """One of the things that happen to databases."""
        acts = (
            self._restart_postgres,
            self._restart_mariadb,
            self._new_password_of_postgres,
            self._new_password_of_mariadb,
            self._add_columns,
            self._zone_of_the_role,
        )
        act = self._drawn.choice(acts)
        self.tell(act.__name__.lstrip("_").replace("_", " "))
        act()

    def _restart_postgres(self) -> None:
        postgres = self.province.platform.postgres
        postgres.kill()
        postgres.start()

    def _restart_mariadb(self) -> None:
        self.commission.server.kill()
        self.commission.server.start()

    def _new_password_of_postgres(self) -> None:
        change_password(self.province, self._drawn.choice((REGISTER, "taxation")))

    def _new_password_of_mariadb(self) -> None:
        self.commission.change_password()

    def _add_columns(self) -> None:
        name = f"added_{next(self._columns)}"
        self.province.sql(REGISTER, f"ALTER TABLE registrations ADD COLUMN {name} text DEFAULT 'x'")
        self.commission.server.run(f"ALTER TABLE deaths ADD COLUMN {name} int DEFAULT 1", database="commission")

    def _zone_of_the_role(self) -> None:
        zone = self._drawn.choice(("UTC", "Asia/Shanghai", "America/New_York"))
        self.province.sql(REGISTER, f"ALTER ROLE \"{REGISTER}\" SET timezone = '{zone}'")

    # what is so

    def pairs(self) -> dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
        """Of each source: the rows that its grantee should hold, and those that it holds."""
        refused, sql = self.province.refused_rows, self.province.sql
        return {
            REGISTRATIONS: (COMPANIES.rows_expected(sql, refused), COMPANIES.rows_found(sql)),
            DEATHS: (self.commission.expected(refused["deaths"]), PENSIONS.rows_found(sql)),
        }

    def missing(self) -> dict[str, int]:
        """Of each source: rows that its grantee should hold and does not hold in this form."""
        return {name: len(set(wanted) - set(found)) for name, (wanted, found) in self.pairs().items()}

    def differing(self) -> dict[str, int]:
        """Of each source: rows that one side holds and the other does not."""
        return {name: len(set(wanted) ^ set(found)) for name, (wanted, found) in self.pairs().items()}

    def compare(self, connector: str) -> dict[str, Any]:
        """Ask a source for a comparison; what it reports of it when it is done."""
        before = self.status(connector)["compared_at"]
        self._command(connector, "connector", "reread", connector, "--all")
        self.province.wait(lambda: self.status(connector)["compared_at"] != before, f"the comparison of {connector}")
        return self.status(connector)

    def status(self, connector: str) -> dict[str, Any]:
        """What `exchange connector status` says of a source."""
        told = json.loads(self._command(connector, "connector", "status", connector, "--json"))
        return {"compared_at": None, **(told["report"] or {}), "set_aside": told["set_aside"]}

    def _command(self, connector: str, *arguments: str) -> str:
        department = connector.partition(".")[0]
        environment = {
            **os.environ,
            "EXCHANGE_CONNECTOR__STATE_FOLDER": str(self.province.places.connectors),
            "EXCHANGE_CONNECTOR__DATABASE_FILE": str(self.province.platform.postgres.folder / f"{department}.address"),
        }
        done = subprocess.run(
            exchange_command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        self.province.wait(holds, what, SETTLE_SECONDS)


def test_whatever_happens_to_databases_and_connectors_the_tables_are_equal(tmp_path: Path, out: Any) -> None:
    settings = {"EXCHANGE_CONNECTOR__COMPARE": ""}
    with out(), mariadb(tmp_path / "mariadb") as server, Province(tmp_path / "province", settings) as province:
        province.start(600)
        commission = Commission.move(province, server)
        use(province, commission)
        storm = Storm(province, commission)
        storm.wait(lambda: not any(storm.differing().values()), "the reading of MariaDB")
        rage(storm)
        calm(storm)
        wrong_cursors(storm)


def use(province: Province, commission: Commission) -> None:
    """Let the source of the commission read in MariaDB."""
    postgres = province.platform.postgres
    file_of = postgres.database_file
    postgres.database_file = (  # type: ignore[method-assign]
        lambda name: commission.address_file if name == COMMISSION else file_of(name)
    )
    province.platform.children.stop(DEATHS)
    for file in province.places.connectors.glob(f"{DEATHS}.*"):
        file.unlink()
    province.platform.start_connector(DEATHS)


def rage(storm: Storm) -> None:
    """Ten minutes of everything at once."""
    province, commission = storm.province, storm.commission
    register = Writers(register_of(province), session_of(province, REGISTER), SEED)
    reports = Writers(reports_of(province, commission), commission.connect, SEED + 1)
    victims = itertools.cycle((*SOURCES, *SINKS))
    until, next_weather = time.monotonic() + SECONDS, time.monotonic() + WEATHER_SECONDS / 2
    with register.at_work(WRITERS), reports.at_work(WRITERS):
        while time.monotonic() < until:
            province.platform.children.check()
            storm.kill(next(victims))
            if time.monotonic() >= next_weather:
                storm.weather()
                next_weather = time.monotonic() + WEATHER_SECONDS
            threading.Event().wait(KILL_SECONDS)
    storm.tell(f"registrations: {dict(register.done)}")
    storm.tell(f"deaths: {dict(reports.done)}")
    for writers in (register, reports):
        assert min(writers.done[act] for act in ("long", "equal_times", "twice", "delete", "change_key")) > 0


def calm(storm: Storm) -> None:
    """Without a comparison only rows that are gone may stand too many; one comparison takes these away."""
    storm.wait(lambda: not any(storm.missing().values()), "the last changes at the grantees")
    storm.tell(f"before the comparison: {storm.differing()} rows differ, all of them gone from their source")
    for source in SOURCES:
        report = storm.compare(source)
        storm.tell(f"{source}: {report}")
        assert (report["missing"], report["changed"], report["set_aside"]) == (0, 0, 0)
        assert report["gone"] > 0
    storm.wait(lambda: not any(storm.differing().values()), "the withdrawal of what is gone")


def wrong_cursors(storm: Storm) -> None:
    """Rows that change and come without their cursor saying so: a comparison finds and counts each of them."""
    sql, refused = storm.province.sql, storm.province.refused_rows["registrations"]
    spoilt = list(refused)
    sql(REGISTER, "ALTER TABLE registrations DISABLE TRIGGER registrations_changed")
    chosen = f"SELECT credit_code FROM registrations WHERE credit_code <> ALL (%s) ORDER BY 1 LIMIT {WRONG_CHANGES}"
    sql(REGISTER, f"UPDATE registrations SET address = '改' WHERE credit_code IN ({chosen})", spoilt)
    rows = register_of(storm.province).spare[-WRONG_ROWS:]
    for row in rows:
        old = {**row, "updated_at": "2001-01-01T00:00:00Z"}
        places = ", ".join(["%s"] * len(old))
        sql(REGISTER, f"INSERT INTO registrations ({', '.join(old)}) VALUES ({places})", *old.values())
    sql(REGISTER, "ALTER TABLE registrations ENABLE TRIGGER registrations_changed")

    report = storm.compare(REGISTRATIONS)
    storm.tell(f"with wrong cursors: {report}")
    assert (report["changed"], report["missing"], report["gone"]) == (WRONG_CHANGES, WRONG_ROWS, 0)
    storm.wait(lambda: not any(storm.differing().values()), "what the cursor had missed at the grantees")

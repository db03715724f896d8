"""Two departments of a small province under a storm: a register in PostgreSQL, and reports of deaths in MariaDB."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from exchange import settings as settings_module
from exchange.catalogue.load import load
from exchange.demo.province.registers import Kind, generate
from exchange.embedded.state_folder import write_private
from tests.harness.edges.writers import Written
from tests.harness.kafka.province import Province
from tests.harness.mariadb import MariaDb

REGISTER, COMMISSION = "market-regulation", "health"
REGISTRATIONS, DEATHS = f"{REGISTER}.registrations", f"{COMMISSION}.deaths"
_DATABASE = "commission"
_SPARE_RECORDS = 8_000
_DEATHS_TABLE = """CREATE TABLE deaths (
    provider_code      varchar(18) NOT NULL,
    resident_id        varchar(18) NOT NULL,
    name               varchar(100) NOT NULL,
    sex                varchar(4),
    death_date         date NOT NULL,
    death_place        varchar(200),
    cause_class        varchar(20),
    source             varchar(20) NOT NULL,
    certificate_number varchar(50),
    registered_at      date NOT NULL,
    reversed           boolean NOT NULL DEFAULT false,
    reversed_at        date,
    confidence         varchar(20),
    withdrawn          boolean NOT NULL DEFAULT false,
    updated_at         timestamp NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp,
    PRIMARY KEY (provider_code, resident_id),
    KEY deaths_by_change (updated_at, provider_code, resident_id)
) CHARACTER SET utf8mb4"""
"""Times in whole seconds: the second change within one second has the time of the first."""


@dataclass(frozen=True, slots=True)
class Commission:
    """The health commission, which has moved its reports of deaths to MariaDB."""

    province: Province
    server: MariaDb
    address_file: Path

    @classmethod
    def move(cls, province: Province, server: MariaDb) -> "Commission":
        """Copy the reports into MariaDB and let the source read there, with a state folder of its own."""
        made = cls(province, server, province.places.root / "commission.address")
        write_private(made.address_file, server.database(_DATABASE) + "\n")
        server.run(_DEATHS_TABLE, database=_DATABASE)
        names = "provider_code, resident_id, name, death_date, source, registered_at, reversed, withdrawn"
        rows = province.sql(COMMISSION, f"SELECT {names} FROM deaths")
        with closing(made.connect()) as session, session.cursor() as cursor:
            cursor.executemany(f"INSERT INTO deaths ({names}) VALUES ({', '.join(['%s'] * 8)})", rows)
            session.commit()
        return made

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A session of the department's own user."""
        user, _, _ = self.address_file.read_text(encoding="utf-8").removeprefix("mysql+pymysql://").partition("@")
        name, _, password = user.partition(":")
        return pymysql.connect(
            host="127.0.0.1", port=self.server.port, user=name, password=password, database=_DATABASE, charset="utf8mb4"
        )

    def expected(self, refused: Sequence[str]) -> list[tuple[Any, ...]]:
        """What the pension office is granted of the reports, by SQL alone."""
        columns = "provider_code, resident_id, name, death_date, source, reversed"
        rows = self.server.run(f"SELECT {columns} FROM deaths WHERE NOT withdrawn", database=_DATABASE)
        return sorted((*row[:5], bool(row[5])) for row in rows if row[1] not in set(refused))

    def change_password(self) -> None:
        """The password changes first in the database, and then in the source's file."""
        password = secrets.token_hex(12)
        self.server.run(f"ALTER USER department@'%' IDENTIFIED BY '{password}'")
        address = self.server.database(_DATABASE + "_other").replace(MariaDb.PASSWORD, password)
        write_private(self.address_file, address.replace(f"{_DATABASE}_other", _DATABASE) + "\n")


def spare_rows(province: Province, connector: str, key: str, there: Sequence[Any]) -> list[dict[str, Any]]:
    """Generated rows for the table of a source whose keys it does not hold."""
    catalogue = load(settings_module.load().catalogue)
    codes = {str(slug): one.credit_code for slug, one in catalogue.departments.items()}
    made = generate(_SPARE_RECORDS, codes, Kind(dirty=False, seed=2)).rows[connector]
    return [row for row in made if row[key] not in set(there)]


def register_of(province: Province) -> Written:
    """The register, in PostgreSQL."""
    there = [code for (code,) in province.sql(REGISTER, "SELECT credit_code FROM registrations")]
    rows = spare_rows(province, REGISTRATIONS, "credit_code", there)
    return Written("registrations", "credit_code", "address", rows, "random()")


def reports_of(province: Province, commission: Commission) -> Written:
    """The reports of deaths, in MariaDB."""
    there = [one for (one,) in commission.server.run("SELECT resident_id FROM deaths", database=_DATABASE)]
    rows = spare_rows(province, DEATHS, "resident_id", there)
    return Written("deaths", "resident_id", "name", rows, "rand()")


def session_of(province: Province, department: str) -> Callable[[], "psycopg.Connection[tuple[Any, ...]]"]:
    """Opens sessions on a department's PostgreSQL by the address in its file, as its source does."""
    file = province.platform.postgres.folder / f"{department}.address"

    def connect() -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(file.read_text(encoding="utf-8").strip().replace("+psycopg", ""))

    return connect


def change_password(province: Province, department: str) -> None:
    """Give a department's role in PostgreSQL another password, and write its address file anew."""
    postgres = province.platform.postgres
    write_private(postgres.folder / f"{department}.secret", secrets.token_hex(12))
    postgres.database_file(department)

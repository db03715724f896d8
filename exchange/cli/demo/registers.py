"""The departments' own databases, filled with generated people and companies that belong to nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from exchange.catalogue.load import load
from exchange.cli.demo.platform import Platform
from exchange.names import Department
from exchange.settings import Settings
from exchange.testing.people import Population

_DEATHS_OF_RESIDENTS = 0.05


def fill(platform: Platform, records: int, companies_from_file: bool, settings: Settings) -> dict[str, int]:
    """Fill the registers with about `records` rows; a second filling changes nothing. Rows by source connector."""
    catalogue = load(settings.catalogue)
    population = Population()
    companies = 0 if companies_from_file else records // 2
    residents = population.residents(records - companies)
    health = catalogue.department(Department("health")).credit_code
    return {
        "market-regulation.registrations": _fill(
            platform,
            "market-regulation",
            "registrations",
            population.companies(companies, catalogue.department(Department("market-regulation")).credit_code),
        ),
        "public-security.residents": _fill(platform, "public-security", "residents", residents),
        "health.deaths": _fill(
            platform, "health", "deaths", list(population.deaths(residents, health, _DEATHS_OF_RESIDENTS))
        ),
    }


def connect(platform: Platform, department: str) -> "psycopg.Connection[tuple[Any, ...]]":
    """A session on a department's own database, as its role."""
    return psycopg.connect(platform.postgres.database(department).replace("postgresql+psycopg://", "postgresql://"))


def _fill(platform: Platform, department: str, table: str, rows: Sequence[Any]) -> int:
    ddl = (files("connectors") / department.replace("-", "_") / "source.sql").read_text(encoding="utf-8")
    with connect(platform, department) as session:
        session.execute(ddl.encode())
        if rows:
            _insert(session, table, [field.name for field in fields(rows[0])], (astuple(row) for row in rows))
        found = session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return int(found[0])


def _insert(
    session: "psycopg.Connection[tuple[Any, ...]]", table: str, columns: list[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    session.execute(
        sql.SQL("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            names, sql.Identifier(table)
        )
    )
    with session.cursor().copy(sql.SQL("COPY incoming ({}) FROM STDIN").format(names)) as copy:
        for row in rows:
            copy.write_row(row)
    session.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM incoming ON CONFLICT DO NOTHING").format(
            sql.Identifier(table), names, names
        )
    )

"""The departments' own databases, filled with the registers of a generated province that belong to nobody."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from exchange.catalogue.load import load
from exchange.demo.platform import Platform
from exchange.demo.province.registers import TABLES, Kind, Row, generate
from exchange.demo.story import COMPANIES_SOURCE, PENSIONS
from exchange.settings import Settings

_SCRIPTS = ("source.sql", "sink.sql")


def fill(
    platform: Platform, records: int, sources: Collection[str], settings: Settings, dirty: bool = True
) -> dict[str, int]:
    """Fill the tables that `sources` read, for `records` people and companies; rows by source connector.

    When the register of companies is none of them, all of `records` are people. A second filling changes nothing.
    dirty: whether some of the rows are what admission must refuse.
    """
    codes = {str(slug): one.credit_code for slug, one in load(settings.catalogue).departments.items()}
    today = datetime.now().astimezone().date()
    made = generate(records, codes, Kind(COMPANIES_SOURCE in sources, dirty, today=today))
    found = {source: _fill(platform, source.partition(".")[0], TABLES[source], made.rows[source]) for source in sources}
    _fill(platform, PENSIONS, "pensions", made.pensions)
    return found


def connect(platform: Platform, department: str) -> "psycopg.Connection[tuple[Any, ...]]":
    """A session on a department's own database, as its role."""
    return psycopg.connect(platform.postgres.database(department).replace("postgresql+psycopg://", "postgresql://"))


def _fill(platform: Platform, department: str, table: str, rows: Sequence[Row]) -> int:
    with connect(platform, department) as session:
        for script in _SCRIPTS:
            file = files("connectors") / department.replace("-", "_") / script
            if file.is_file():
                session.execute(file.read_text(encoding="utf-8").encode())
        if rows:
            columns = list(dict.fromkeys(name for row in rows for name in row))
            _insert(session, table, columns, ([row.get(name) for name in columns] for row in rows))
        found = session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return int(found[0])


def _insert(
    session: "psycopg.Connection[tuple[Any, ...]]", table: str, columns: list[str], rows: Iterable[Sequence[Any]]
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

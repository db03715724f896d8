"""Statements as each database takes them: Oracle and SQL Server are compiled here and not run."""

import pytest
from sqlalchemy.dialects import mssql, oracle, postgresql, sqlite
from sqlalchemy.engine import Dialect

from exchange.connect.sql.positions import Pass
from exchange.connect.sql.statements import Limits, Statements, from_query, from_table
from exchange.errors import ExchangeError

BEGINNING = Pass(None, False, 0, set())
LATER = Pass(5, False, 0, set(), [7, "a"])


def statements(dialect: Dialect, name: str = "Office.People") -> Statements:
    return Statements(dialect, from_table(dialect, name), "changed", ["Key"])


@pytest.mark.parametrize(
    ("dialect", "wanted"),
    [
        (
            oracle.oracledb.dialect(),
            'SELECT * FROM "Office"."People" WHERE changed IS NOT NULL AND changed >= :p1 AND ((changed > :p2) OR'
            ' (changed = :p3 AND "Key" >= :p4)) AND "Key" IS NOT NULL ORDER BY changed, "Key" FETCH FIRST 3 ROWS ONLY',
        ),
        (
            mssql.pyodbc.dialect(paramstyle="qmark"),
            "SELECT * FROM [Office].[People] WHERE changed IS NOT NULL AND changed >= ? AND ((changed > ?) OR"
            " (changed = ? AND [Key] >= ?)) AND [Key] IS NOT NULL ORDER BY changed, [Key]"
            " OFFSET 0 ROWS FETCH NEXT 3 ROWS ONLY",
        ),
        (
            postgresql.psycopg.dialect(),
            'SELECT * FROM "Office"."People" WHERE changed IS NOT NULL AND changed >= %s AND ((changed > %s) OR'
            ' (changed = %s AND "Key" >= %s)) AND "Key" IS NOT NULL ORDER BY changed, "Key" LIMIT 3',
        ),
    ],
    ids=["oracle", "mssql", "postgresql"],
)
def test_a_page_goes_on_at_a_row_inclusive(dialect: Dialect, wanted: str) -> None:
    text, values = statements(dialect).page(LATER, Limits(), 3)
    assert text == wanted
    assert list(values.values() if isinstance(values, dict) else values) == [7, 7, 7, "a"]


def test_the_first_page_has_no_beginning_and_the_limits_of_what_can_be_read() -> None:
    text, values = statements(sqlite.pysqlite.dialect(), "t").page(BEGINNING, Limits(1, 9), 3)
    assert text.startswith("SELECT * FROM t WHERE changed IS NOT NULL AND changed >= ? AND changed <= ? AND")
    assert values == (1, 9)


def test_a_strict_beginning_leaves_its_value_out() -> None:
    text, values = statements(sqlite.pysqlite.dialect(), "t").page(Pass(5, True, 0, set()), Limits(), 3)
    assert "changed > ?" in text
    assert values == (5,)


@pytest.mark.parametrize("name", ['t"; DROP TABLE x; --', "t; SELECT 1", "a.b c"])
def test_a_name_is_a_name_whatever_stands_in_it(name: str) -> None:
    quoted = from_table(postgresql.psycopg.dialect(), name)
    assert quoted.startswith(('"', 'a."'))
    assert '"; DROP' not in quoted.replace('""', "")


@pytest.mark.parametrize("statement", ["", "  ", ";", " ; "])
def test_a_query_without_a_statement_is_refused(statement: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        from_query(statement)
    assert caught.value.code == "E_CONNECTOR"

"""The tables that a sink makes, as statements of databases that are not at hand."""

from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from exchange.connect import folder, sink, table
from exchange.errors import ExchangeError
from exchange.handover.table.rows import Shape, columns_of
from tests.harness.sink_databases import layout
from tests.unit.handover.test_sink_exactness import FIELDS


def created(dialect: ModuleType, fields: dict[str, Any], key: tuple[str, ...], maria: bool = False) -> str:
    made: Any = dialect.dialect()  # type: ignore[attr-defined]
    if maria:
        made.is_mariadb = True
    of_table = Table("cut", MetaData(), *columns_of(layout(fields, key), made))
    return " ".join(str(CreateTable(of_table).compile(dialect=made)).split())


@pytest.mark.parametrize("dialect", [mssql, mysql, oracle, postgresql, sqlite], ids=lambda one: one.__name__)
@pytest.mark.parametrize("key", [("code",), ("code", "second"), ("code", "second", "third")], ids=len)
def test_every_type_of_a_share_has_a_column_type_and_every_key_is_bounded(
    dialect: ModuleType, key: tuple[str, ...]
) -> None:
    statement = created(dialect, {**FIELDS, "second": "string", "third": "string"}, key)
    assert f"PRIMARY KEY ({', '.join(key)})" in statement
    if dialect in (mssql, mysql, oracle):
        of_key = statement.partition("code ")[2].partition(",")[0]
        assert "TEXT" not in of_key
        assert "CLOB" not in of_key


def test_keys_fit_an_index_of_innodb_of_sql_server_and_of_oracle() -> None:
    one, two = {"code": "string"}, {"code": "string", "second": "string"}
    assert "code VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL" in created(mysql, one, ("code",))
    assert "code VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" in created(mysql, one, ("code",), True)
    assert created(mysql, two, ("code", "second")).count("VARCHAR(384)") == 2
    assert created(mssql, two, ("code", "second")).count("NVARCHAR(225) COLLATE Latin1_General_100_BIN2") == 2
    assert "code VARCHAR2(512 CHAR) NOT NULL" in created(oracle, one, ("code",))


def test_tables_of_postgresql_and_sqlite_keep_their_types() -> None:
    assert "code TEXT NOT NULL" in created(postgresql, {"code": "string"}, ("code",))
    assert "code TEXT NOT NULL" in created(sqlite, {"code": "string"}, ("code",))


def test_two_fields_never_share_a_column() -> None:
    with pytest.raises(ExchangeError, match="E_CONNECTOR"):
        sink("population.death", table("cut"), columns={"code": "x", "name": "x"})
    fields = layout({"code": "string", "name": "string"})
    with pytest.raises(ExchangeError, match="E_CONNECTOR"):
        columns_of(fields, sqlite.dialect(), Shape({"name": "code"}))  # type: ignore[no-untyped-call]


def test_files_have_neither_columns_nor_a_mapping() -> None:
    for more in ({"map": dict}, {"columns": {"code": "x"}}):
        with pytest.raises(ExchangeError, match="E_CONNECTOR"):
            sink("population.death", folder("drop"), **more)  # type: ignore[arg-type]

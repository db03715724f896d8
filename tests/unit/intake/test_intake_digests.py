"""Digests of rows tell types apart and are the same in every process; versions of a mapping see what it is made of."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib import import_module, invalidate_caches
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from exchange.connect import csv_file
from exchange.connect.declare import Source
from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import ExchangeError
from exchange.intake.unchanged.digests import RowDigests
from exchange.intake.unchanged.mapping_version import version_of
from exchange.names import RecordType, SchemaId

MOMENT = datetime(2026, 11, 24, 8, 0, 0, 1)
VALUES: tuple[Any, ...] = (
    None, "", "None", "1", 1, True, 1.0, Decimal(1), Decimal("1.0"), b"1", bytearray(b"1"), memoryview(b"1"), -1, 2**70,
    0.0, -0.0, float("nan"), Decimal("NaN"), Decimal("1E+1"), Decimal(10), "\ud800", "a\0b", "a", " a",
    date(2026, 11, 24), date(2026, 11, 24).toordinal(), "2026-11-24", datetime(2026, 11, 24), MOMENT, str(MOMENT),
    MOMENT.replace(tzinfo=UTC), MOMENT.replace(tzinfo=timezone(timedelta(0), "GMT")),
    MOMENT.replace(tzinfo=timezone(timedelta(hours=8))), MOMENT.replace(tzinfo=timezone(timedelta(hours=8), "CST")),
    MOMENT.replace(tzinfo=ZoneInfo("Asia/Shanghai")), MOMENT.replace(fold=1), time(8), time(8, tzinfo=UTC),
    timedelta(1), timedelta(0, 86_399), UUID(int=1), ["1"], [1], [True], [[1]], ("1",), {"a": 1}, {"a": True},
)  # fmt: skip


def digest(*cells: Any, names: str = "abcdefgh", version: str = "one") -> bytes | None:
    (found,) = RowDigests(version).of([SourceRow.of_cells(tuple(names[: len(cells)]), cells, 1, False, "k")])
    return found


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in-a-page"])
def test_no_two_values_of_different_types_or_contents_have_one_digest(alone: bool) -> None:
    if alone:
        found = [digest(value) for value in VALUES]
    else:
        found = RowDigests("one").of([SourceRow({"a": value}, 1) for value in VALUES])
    for (one, first), (other, second) in combinations(zip(found, VALUES, strict=True), 2):
        assert one != other, (first, second)
    assert None not in found


def test_a_row_has_one_digest_alone_and_in_any_page() -> None:
    rows = [SourceRow({"a": value, "b": other}, 1) for value in VALUES for other in VALUES[:8]]
    together = RowDigests("one").of(rows)
    assert together == [RowDigests("one").of([row])[0] for row in rows]


def test_what_stands_in_one_column_does_not_stand_in_the_next() -> None:
    found = {
        digest("ab", "c"),
        digest("a", "bc"),
        digest("abc", ""),
        digest("abc", None),
        digest("abc"),
        digest("", "abc"),
    }
    assert len(found) == 6


def test_names_and_version_are_a_part_of_the_digest() -> None:
    found = {digest(1, 2), digest(1, 2, names="ba"), digest(1, 2, version="two"), digest(1, 2, names="ax")}
    assert len(found) == 4


def test_rows_of_other_columns_in_a_page_and_faulty_ones_do_not_shift_the_digests() -> None:
    faulty = FaultyRow(ExchangeError("E_ROW_UNREADABLE"), None)
    rows = [SourceRow({"a": 1}, 1), faulty, SourceRow({"b": 1}, 1), SourceRow({"a": 1, "b": 2}, 1)]
    assert RowDigests("one").of(rows) == [digest(1), None, digest(1, names="b"), digest(1, 2)]
    assert RowDigests("one").of([]) == []
    assert RowDigests("one").of([faulty]) == [None]


def test_a_value_that_cannot_be_written_down_costs_its_own_row_alone() -> None:
    class Strange:
        def __reduce__(self) -> str:
            raise RuntimeError

    assert digest(Strange()) is None
    found = RowDigests("one").of([SourceRow({"a": value}, 1) for value in (1, Strange(), 2)])
    assert found == [digest(1), None, digest(2)]


def test_digests_are_the_same_in_another_process_and_with_texts_that_are_shared() -> None:
    shared = "".join(["共", "享"])
    script = """
from tests.unit.intake.test_intake_digests import *
words = "共享", "共享", "interned", "interned"
print([digest(*words, value, MOMENT, date(2026, 1, 2)).hex() for value in (1, 2.5)])
"""
    seeded = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=seeded).stdout
    word = "".join(["inter", "ned"])
    here = [digest(shared, shared, word, sys.intern(word), value, MOMENT, date(2026, 1, 2)) for value in (1, 2.5)]
    assert out.strip() == str([(one or b"").hex() for one in here])


# versions of a mapping

Written = Callable[[str, str], None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of connectors, of which `made.health.deaths` is one."""
    folder = tmp_path / "made"
    (folder / "health").mkdir(parents=True)
    (folder / "tables").mkdir()
    for name in ("__init__", "health/__init__", "tables/__init__"):
        (folder / f"{name}.py").write_text("")
    (folder / "tables" / "codes.py").write_text("from .more import OTHERS\nCODES = {'1': 'a'}\n")
    (folder / "tables" / "more.py").write_text("OTHERS = 1\n")
    (folder / "tables" / "late.py").write_text("LATE = 1\n")
    (folder / "tables" / "unused.py").write_text("UNUSED = 1\n")
    (tmp_path / "elsewhere_made").mkdir()
    (tmp_path / "elsewhere_made" / "__init__.py").write_text("")
    (tmp_path / "elsewhere_made" / "inside.py").write_text("A = 1\n")
    (folder / "health" / "beside.json").write_text("{}")
    (folder / "health" / "deaths.py").write_text(
        "import elsewhere_made\nfrom made.tables import codes\n\n"
        "def deaths(row):\n    from made.tables import late\n"
        "    return {'a': codes.CODES, 'b': late, 'c': elsewhere_made}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("made", "elsewhere_made")]:
        del sys.modules[name]


def version(schema: int = 1) -> str:
    invalidate_caches()
    function = import_module("made.health.deaths").deaths
    return version_of(Source(RecordType("population.death"), csv_file(), function), SchemaId(schema))


@pytest.mark.parametrize(
    "changed",
    [
        "made/health/deaths.py", "made/health/beside.json", "made/tables/codes.py", "made/tables/more.py",
        "made/tables/late.py", "made/tables/__init__.py", "made/__init__.py", "elsewhere_made/inside.py",
    ],
)  # fmt: skip
def test_whatever_a_mapping_is_made_of_makes_another_version(package: Path, changed: str) -> None:
    before = version()
    assert version() == before
    path = package.parent / changed
    path.write_text(path.read_text() + "\n")
    assert version() != before


def test_a_new_file_beside_the_connector_makes_another_version(package: Path) -> None:
    before = version()
    (package / "health" / "added.csv").write_text("x")
    assert version() != before


def test_a_module_that_the_mapping_does_not_import_makes_no_other_version(package: Path) -> None:
    before = version()
    (package / "tables" / "unused.py").write_text("UNUSED = 2\n")
    assert version() == before


def test_another_schema_makes_another_version(package: Path) -> None:
    assert package.exists()
    assert version(1) != version(2)


def test_a_file_that_cannot_be_read_and_a_module_that_cannot_be_parsed_do_not_stop_a_source(package: Path) -> None:
    before = version()
    (package / "tables" / "late.py").write_text("def (")
    (package / "health" / "nowhere").symlink_to(package / "not-there")
    assert version() != before

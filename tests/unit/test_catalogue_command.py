"""`exchange catalogue` as a person types it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app

SCHEMAS = Path(__file__).parents[2] / "schemas"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["catalogue", *arguments])
    return result.exit_code, result.output


def test_check_of_the_shipped_catalogue_ends_well() -> None:
    status, output = run("check")
    assert status == 0
    assert "nothing wrong" in output


def test_check_names_the_fault_and_ends_with_status_one(tmp_path: Path) -> None:
    folder = shutil.copytree(SCHEMAS / "catalogue", tmp_path / "catalogue")
    path = Path(folder) / "resources.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"health"', '"wealth"'), encoding="utf-8")
    status, output = run("check", "--catalogue", str(folder))
    assert status == 1
    assert "wealth" in output


def test_unreadable_catalogue_ends_with_its_code_and_advice(tmp_path: Path) -> None:
    status, output = run("check", "--catalogue", str(tmp_path))
    assert status == 1
    assert "E_CATALOGUE" in output
    assert "→" in output


@pytest.mark.parametrize("part", ["departments", "resources", "fields", "code-sets"])
def test_show_lists_every_part_as_table_and_as_json(part: str) -> None:
    status, drawn = run("show", part)
    assert status == 0
    assert drawn.strip()
    status, output = run("show", part, "--json")
    assert status == 0
    assert json.loads(output)


def test_departments_show_validity_and_successors() -> None:
    _, output = run("show", "departments", "--json")
    by_slug = {one["slug"]: one for one in json.loads(output)}
    assert by_slug["state-taxation"]["successors"] == ["taxation"]
    assert by_slug["state-taxation"]["valid_until"] == by_slug["taxation"]["valid_from"] == "2018-06-15"

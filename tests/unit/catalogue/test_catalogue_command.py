"""`exchange catalogue` as a person types it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app

SCHEMAS = Path(__file__).parents[3] / "schemas"


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


def test_fields_as_json_say_everything_about_a_field() -> None:
    _, output = run("show", "fields", "--json")
    by_name = {(one["record_type"], one["field"]): one for one in json.loads(output)}
    found = by_name[("population.death", "cause_class")]
    assert (found["meaning_zh"], found["code_set"]) == ("死亡原因类别", "death-cause-class")
    assert (found["sharing"], found["condition"]) == ("not-shared", None)
    assert found["not_shared_basis"].startswith("基本医疗卫生与健康促进法")
    assert set(by_name[("population.death", "death_date")]["condition"]) == {"en", "zh"}
    assert by_name[("population.death", "resident_id")]["key"] is True


def test_show_writes_the_page_for_people(tmp_path: Path) -> None:
    status, output = run("show", "--html", str(tmp_path / "catalogue.html"))
    assert status == 0 and "catalogue.html" in output
    assert (tmp_path / "catalogue.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    status, output = run("show", "--html", "-")
    assert status == 0 and output.startswith("<!doctype html>") and output.endswith("</html>")


def test_page_that_cannot_be_written_is_said_with_its_code(tmp_path: Path) -> None:
    status, output = run("show", "--html", str(tmp_path / "nowhere" / "catalogue.html"))
    assert status == 2
    assert "E_SETTINGS" in output and "catalogue.html" in output

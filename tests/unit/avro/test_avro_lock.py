"""Schema files, the lock of their ids, and what the commands say about them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.avro import lock as locking
from exchange.avro.lock import SchemaRepository, fingerprint
from exchange.cli.schemas import app
from exchange.errors import ExchangeError
from exchange.names import SchemaId
from exchange.settings import load

EVENT = {"type": "record", "name": "Event", "fields": [{"name": "seq", "type": "long", "doc": "number"}]}


def registration(*more: dict[str, Any]) -> dict[str, Any]:
    code = {"name": "code", "type": "string", "doc": "code", "meaningZh": "代码"}
    return {
        "type": "record",
        "name": "Registration",
        "recordType": "legal-entity.registration",
        "naturalKey": ["code"],
        "provider": {"rule": "sole"},
        "personal": False,
        "fields": [code, *more],
    }


DATE = {"type": "int", "logicalType": "date"}
NAME = {"name": "name", "type": ["null", "string"], "default": None, "doc": "name", "meaningZh": "名称"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "ledger/event", EVENT)
    write(tmp_path, "legal-entity/registration", registration())
    return tmp_path


def write(folder: Path, name: str, schema: dict[str, Any]) -> None:
    path = folder / f"{name}.avsc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema), encoding="utf-8")


def test_lock_gives_ids_that_stay(folder: Path) -> None:
    first = locking.lock(folder)
    assert [(one.id, one.subject, one.version) for one in first] == [
        (1, "legal-entity.registration", 1),
        (2, "ledger.event", 1),
    ]
    write(folder, "legal-entity/registration", registration(NAME))
    assert [(one.id, one.version) for one in locking.lock(folder)] == [(3, 2)]
    assert locking.lock(folder) == []
    schemas = SchemaRepository.load(folder)
    assert schemas.by_id(SchemaId(1)) == schemas.versions("legal-entity.registration")[0]
    assert schemas.latest("legal-entity.registration").id == 3
    assert schemas.by_id(SchemaId(4)) is None
    assert schemas.record_types() == ["legal-entity.registration"]
    record = schemas.latest("legal-entity.registration").record
    assert record is not None
    assert record.field("name").required is False
    assert schemas.latest("ledger.event").record is None


def test_a_file_that_is_not_locked_is_refused_at_load(folder: Path) -> None:
    locking.lock(folder)
    write(folder, "legal-entity/registration", registration(NAME))
    with pytest.raises(ExchangeError, match="exchange schemas lock"):
        SchemaRepository.load(folder)
    assert len(locking.check(folder)) == 1


def test_a_change_that_does_more_than_append_is_refused(folder: Path) -> None:
    write(folder, "legal-entity/registration", registration(NAME))
    locking.lock(folder)
    write(folder, "legal-entity/registration", registration())
    with pytest.raises(ExchangeError) as caught:
        locking.lock(folder)
    assert caught.value.code == "E_SCHEMA_INCOMPATIBLE"
    assert "legal-entity.registration.name" in caught.value.detail


def test_a_locked_schema_cannot_be_edited_in_the_lock(folder: Path) -> None:
    locking.lock(folder)
    path = folder / "ids.lock"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["schemas"][0]["schema"]["personal"] = True
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExchangeError, match="changed after it was locked"):
        SchemaRepository.load(folder)


def test_a_removed_file_is_found(folder: Path) -> None:
    locking.lock(folder)
    (folder / "legal-entity" / "registration.avsc").unlink()
    assert locking.check(folder) == ["legal-entity.registration: its file is gone, but it is locked"]


@pytest.mark.parametrize(
    "change",
    [
        {"naturalKey": ["nothing"]},
        {"naturalKey": []},
        {"provider": {"rule": "whoever"}},
        {"provider": {"rule": "first-character", "field": "nothing"}},
        {"recordType": "legal-entity.licence"},
        {"recordType": "Nonsense"},
        {"personal": "yes"},
        {"fields": [{"name": "code", "type": "string"}]},
        {"fields": [{"name": "code", "type": "strong"}]},
        {"fields": [{"name": "code", "type": ["null", "string"], "doc": "code", "meaningZh": "代码"}]},
        {"fields": [*registration()["fields"], {**NAME, "type": {"type": "enum", "name": "E", "symbols": ["A"]}}]},
        {"fields": [*registration()["fields"], {**NAME, "identifier": "passport"}]},
        {"fields": [*registration()["fields"], {**NAME, "sharing": "perhaps"}]},
        {"fields": [*registration()["fields"], {**NAME, "type": ["null", "int"], "codeSet": "GB/T 3304"}]},
        {"fields": [*registration()["fields"], {**NAME, "form": "[0-9"}]},
        {"fields": [*registration()["fields"], {**NAME, "form": "[0-9]*"}]},
        {"fields": [*registration()["fields"], {**NAME, "form": "[0-9]+", "identifier": "region"}]},
        {"fields": [*registration()["fields"], {**NAME, "type": ["null", "int"], "form": "[0-9]+"}]},
        {"fields": [*registration()["fields"], {**NAME, "future": True}]},
        {"fields": [*registration()["fields"], {**NAME, "type": ["null", DATE], "future": "yes"}]},
    ],
)
def test_lint_refuses(folder: Path, change: dict[str, Any]) -> None:
    write(folder, "legal-entity/registration", {**registration(), **change})
    assert locking.check(folder)[0].startswith("legal-entity.registration: ")
    with pytest.raises(ExchangeError) as caught:
        locking.lock(folder)
    assert caught.value.code == "E_SCHEMA"


def test_the_commands_lock_check_and_show(folder: Path) -> None:
    run = CliRunner()
    arguments = ["--folder", str(folder)]
    assert run.invoke(app, ["check", *arguments]).exit_code == 1
    assert run.invoke(app, ["lock", *arguments]).exit_code == 0
    assert run.invoke(app, ["check", *arguments]).exit_code == 0
    assert json.loads(run.invoke(app, ["check", "--json", *arguments]).stdout) == {"findings": []}
    rows = json.loads(run.invoke(app, ["show", "--json", *arguments]).stdout)
    assert [row["id"] for row in rows] == [2, 1]
    assert "代码" in run.invoke(app, ["show", "legal-entity.registration", *arguments]).stdout
    one = json.loads(run.invoke(app, ["show", "legal-entity.registration", "--json", *arguments]).stdout)
    assert fingerprint(one) == rows[1]["sha256"]


def test_show_tells_the_rule_and_the_standard_of_a_field() -> None:
    shown = CliRunner().invoke(app, ["show", "natural-resources.real-estate-right"]).stdout
    for told in ("不动产单元号", "GB/T 37346-2018", "form: [1-8]", "resident-id", "GB/T 17986.1", "conditional"):
        assert told in shown


def test_the_schemas_of_the_exchange_are_valid_and_locked() -> None:
    assert locking.check(load().schemas) == []


def test_key_parts_are_percent_encoded_and_joined() -> None:
    record = locking.record_schema(
        {**registration({**NAME, "type": "string", "default": ""}), "naturalKey": ["code", "name"]}
    )
    assert record.key_of(["11340000MB1990000X", "皖 1/2%"]) == b"11340000MB1990000X/%E7%9A%96%201%2F2%25"
    assert locking.record_schema(registration()).key_of(["11340000MB1990000X"]) == b"11340000MB1990000X"


def _run(folder: Path, command: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [command, "--folder", str(folder)])
    return done.exit_code, done.output + str(done.exception or "")


@pytest.mark.parametrize("name", ["food/catering", "legal-entity/old/registration", "catering", "Credit/permit"])
def test_a_schema_in_the_folder_of_no_registry_is_named_with_the_registries_there_are(folder: Path, name: str) -> None:
    locking.lock(folder)
    write(folder, name, registration())
    status, said = _run(folder, "check")
    assert status == 1
    assert f"{name}.avsc" in said.replace("\n", "")
    assert "macro-economy" in said
    with pytest.raises(ExchangeError, match="folder of no registry"):
        locking.lock(folder)


@pytest.mark.parametrize(
    ("field", "place", "meant"),
    [
        ({"futur": True}, "field day has an unknown attribute futur", "future"),
        ({"sharring": "unconditional"}, "field day has an unknown attribute sharring", "sharing"),
        ({"codeset": "x"}, "field day has an unknown attribute codeset", "codeSet"),
        ({"type": {**DATE, "logicaltype": "date"}}, "the type of field day has an unknown attribute", "logicalType"),
        ({"x": 1}, "field day has an unknown attribute x", ""),
    ],
)
def test_a_misspelt_attribute_is_an_error_with_its_place(
    folder: Path, field: dict[str, Any], place: str, meant: str
) -> None:
    locking.lock(folder)
    schema = registration({"name": "day", "type": DATE, "doc": "day", "meaningZh": "日", **field})
    write(folder, "legal-entity/registration", schema)
    (finding, *_more) = locking.check(folder)
    assert place in finding
    assert (f"is {meant} meant?" in finding) is bool(meant)
    with pytest.raises(ExchangeError, match="unknown attribute"):
        locking.lock(folder)


def test_misspelt_attributes_of_the_record_and_of_a_record_within_it_are_errors_too(folder: Path) -> None:
    part = {"type": "record", "name": "Part", "fields": [{"name": "said", "type": "string", "docs": "said"}]}
    schema = registration({"name": "part", "type": ["null", part], "default": None, "doc": "part", "meaningZh": "部"})
    write(folder, "legal-entity/registration", {**schema, "personel": False, "provider": {"rule": "sole", "fild": "x"}})
    found = "; ".join(locking.check(folder))
    for place in ("the record has", "provider has", "field part.said has"):
        assert f"{place} an unknown attribute" in found


def test_an_unknown_code_set_is_found_by_check_and_never_locked(folder: Path) -> None:
    locking.lock(folder)
    coded = {"name": "kind", "type": ["null", "string"], "default": None, "doc": "kind", "meaningZh": "类别"}
    write(folder, "legal-entity/registration", registration({**coded, "codeSet": "no-such"}))
    status, said = _run(folder, "check")
    assert status == 1
    assert "legal-entity.registration.kind: there is no code set no-such" in said.replace("\n", " ")
    status, said = _run(folder, "lock")
    assert status != 0
    assert "there is no code set no-such" in said
    assert [one["version"] for one in json.loads((folder / "ids.lock").read_text())["schemas"]] == [1, 1]


def test_the_shipped_schemas_have_no_attribute_that_means_nothing() -> None:
    assert locking.check(load().schemas) == []

"""The examples beside every schema: what admission accepts, and what it refuses with which code.

In the files a date is an ISO text and a decimal a text of digits; the schema says which field is which.
"""

import json
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange import record
from exchange.admission.check import compile_checks
from exchange.avro.codec import Codec
from exchange.avro.record_schema import RecordSchema
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.record_types import read_record_schemas
from exchange.errors import TABLE, ExchangeError
from exchange.names import SchemaId, registry_of
from exchange.testing.people import Population

SCHEMAS = Path(__file__).parents[2] / "schemas"
RECORD_SCHEMAS = read_record_schemas(SCHEMAS)
CODE_SETS = load_code_sets(SCHEMAS / FOLDER)
TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
LEAST_ACCEPTED, LEAST_REFUSED = 4, 8


def folder_of(name: str) -> Path:
    return SCHEMAS / registry_of(RECORD_SCHEMAS[name].record_type) / name.partition(".")[2]


def examples(kind: str) -> list[Any]:
    return [
        pytest.param(name, path, id=f"{name}/{path.stem}")
        for name in RECORD_SCHEMAS
        for path in sorted((folder_of(name) / kind).glob("*.json"))
    ]


def read(schema: RecordSchema, path: Path) -> dict[str, Any]:
    """The record of an example. A text that is no date stays a text, so that examples can be wrong."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["record"]
    for rule in schema.fields:
        branches = rule.type if isinstance(rule.type, list) else [rule.type]
        logical = {branch.get("logicalType") for branch in branches if isinstance(branch, dict)}
        text = values[rule.name]
        if "date" in logical and isinstance(text, str) and text[4:5] == "-":
            values[rule.name] = date.fromisoformat(text)
        elif "decimal" in logical and isinstance(text, str):
            values[rule.name] = Decimal(text)
    return values


def admit(schema: RecordSchema, values: dict[str, Any]) -> None:
    """Encode as intake does, then check as admission does."""
    value = record.frame(SchemaId(1)) + Codec(schema.schema).encode(values)
    key = schema.key_of([values[part] for part in schema.natural_key])
    compile_checks(schema, CODE_SETS)(key, value, TODAY)


@pytest.mark.parametrize(("name", "path"), examples("accept"))
def test_accepted_example_passes_admission_and_comes_back_as_it_was(name: str, path: Path) -> None:
    schema = RECORD_SCHEMAS[name]
    values = read(schema, path)
    admit(schema, values)
    codec = Codec(schema.schema)
    assert codec.decode(codec.encode(values)) == values


@pytest.mark.parametrize(("name", "path"), examples("reject"))
def test_rejected_example_is_refused_with_its_code(name: str, path: Path) -> None:
    schema = RECORD_SCHEMAS[name]
    with pytest.raises(ExchangeError) as error:
        admit(schema, read(schema, path))
    assert error.value.code == json.loads(path.read_text(encoding="utf-8"))["code"]


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_every_record_type_has_examples_that_say_why(name: str) -> None:
    accepted = sorted((folder_of(name) / "accept").glob("*.json"))
    refused = sorted((folder_of(name) / "reject").glob("*.json"))
    assert len(accepted) >= LEAST_ACCEPTED
    assert len(refused) >= LEAST_REFUSED
    for path in (*accepted, *refused):
        example = json.loads(path.read_text(encoding="utf-8"))
        assert example["because"]
        assert set(example["record"]) == {rule.name for rule in RECORD_SCHEMAS[name].fields}
    assert {json.loads(path.read_text(encoding="utf-8"))["code"] for path in refused} <= set(TABLE)


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_no_field_is_an_enum_and_every_nullable_field_defaults_to_null(name: str) -> None:
    assert '"enum"' not in json.dumps(RECORD_SCHEMAS[name].schema)
    for field in RECORD_SCHEMAS[name].schema["fields"]:
        if isinstance(field["type"], list):
            assert field["type"][0] == "null"
            assert field["default"] is None


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_every_field_says_what_it_means_by_which_standard_and_how_it_is_shared(name: str) -> None:
    for rule in RECORD_SCHEMAS[name].fields:
        assert rule.meaning and rule.meaning_zh and rule.standard and rule.sharing


def test_generated_people_and_companies_pass_admission() -> None:
    population = Population(seed=11)
    residents = population.residents(150)
    rows = {
        "population.resident": residents,
        "population.death": list(population.deaths(residents, "11340000EXCH000341", share=0.3)),
        "legal-entity.registration": population.companies(100, "11340000EXCH00018B"),
    }
    for name, generated in rows.items():
        assert generated
        for row in generated:
            admit(RECORD_SCHEMAS[name], asdict(row))

"""The examples beside every schema: what admission accepts, and what it refuses with which code."""

import json
from dataclasses import asdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exchange import record
from exchange.admission.check import Check, compile_checks
from exchange.avro.codec import Codec
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.record_types import read_record_schemas
from exchange.demo.province.people import Population
from exchange.errors import TABLE, ExchangeError
from exchange.testing.examples import ACCEPT, REJECT, SCHEMA_ID, paths_of, read_example

SCHEMAS = Path(__file__).parents[3] / "schemas"
RECORD_SCHEMAS = read_record_schemas(SCHEMAS)
CODE_SETS = load_code_sets(SCHEMAS / FOLDER)
TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
LEAST_ACCEPTED, LEAST_REFUSED = 6, 12


def examples(kind: str) -> list[Any]:
    return [
        pytest.param(name, path, id=f"{name}/{path.stem}")
        for name, schema in RECORD_SCHEMAS.items()
        for path in paths_of(SCHEMAS, schema, kind)
    ]


@cache
def check_of(name: str) -> Check:
    return compile_checks(RECORD_SCHEMAS[name], CODE_SETS)


@cache
def codec_of(name: str) -> Codec:
    return Codec(RECORD_SCHEMAS[name].schema)


def admit(name: str, values: dict[str, Any]) -> None:
    """Encode as intake does, then check as admission does."""
    schema = RECORD_SCHEMAS[name]
    value = record.frame(SCHEMA_ID) + codec_of(name).encode(values)
    check_of(name)(schema.key_of([values[part] for part in schema.natural_key]), value, TODAY)


@pytest.mark.parametrize(("name", "path"), examples(ACCEPT))
def test_accepted_example_passes_admission_and_comes_back_as_it_was(name: str, path: Path) -> None:
    example = read_example(RECORD_SCHEMAS[name], path)
    admit(name, example.values)
    codec = codec_of(name)
    assert codec.decode(codec.encode(example.values)) == example.values


@pytest.mark.parametrize(("name", "path"), examples(REJECT))
def test_rejected_example_is_refused_with_its_code(name: str, path: Path) -> None:
    schema = RECORD_SCHEMAS[name]
    example = read_example(schema, path)
    with pytest.raises(ExchangeError) as error:
        check_of(name)(example.kafka_key(schema), example.encoded(codec_of(name)), TODAY)
    assert error.value.code == example.code


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_every_record_type_has_examples_that_say_why(name: str) -> None:
    schema = RECORD_SCHEMAS[name]
    accepted, refused = paths_of(SCHEMAS, schema, ACCEPT), paths_of(SCHEMAS, schema, REJECT)
    assert len(accepted) >= LEAST_ACCEPTED
    assert len(refused) >= LEAST_REFUSED
    for path in (*accepted, *refused):
        example = json.loads(path.read_text(encoding="utf-8"))
        assert example["because"]
        assert set(example["record"]) == {rule.name for rule in schema.fields}
    assert {read_example(schema, path).code for path in refused} <= set(TABLE)


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
    rows: dict[str, list[Any]] = {
        "population.resident": list(residents),
        "population.death": list(population.deaths(residents, "11340000EXCH000341", share=0.3)),
        "legal-entity.registration": population.companies(100, "11340000EXCH00018B"),
    }
    for name, generated in rows.items():
        assert generated
        for row in generated:
            admit(name, asdict(row))

"""Records under running numbers: admission takes them all, no key is there twice, whatever the type."""

from pathlib import Path

import pytest

from exchange import record
from exchange.admission.check import compile_checks
from exchange.avro import Codec
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.catalogue.record_types import read_record_schemas
from exchange.names import SchemaId
from tests.harness.distinct_records import SOURCES, Distinct

SCHEMAS = Path(__file__).parents[3] / "schemas"
RECORD_SCHEMAS = read_record_schemas(SCHEMAS)
DISTINCT = Distinct(load(SCHEMAS / "catalogue"))
TODAY = 20_781  # 24 November 2026
RECORDS = 3_000


@pytest.mark.parametrize("name", SOURCES)
def test_admission_takes_every_record_and_no_key_is_there_twice(name: str) -> None:
    schema = RECORD_SCHEMAS[name]
    check, encode = compile_checks(schema, load_code_sets(SCHEMAS / FOLDER)), Codec(schema.schema).encode
    keys = set()
    for values in DISTINCT.records(schema.record_type, RECORDS, 2_000):
        key = schema.key_of([values[part] for part in schema.natural_key])
        whole = {rule.name: values.get(rule.name) for rule in schema.fields}
        check(key, record.frame(SchemaId(1)) + encode(whole), TODAY)
        keys.add(key)
    assert len(keys) == RECORDS


def test_there_are_records_of_every_type() -> None:
    assert SOURCES.keys() == RECORD_SCHEMAS.keys()

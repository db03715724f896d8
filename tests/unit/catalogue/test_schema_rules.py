"""Each rule of a schema is held by an example: without the rule, something that must be refused would be accepted."""

import copy
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exchange.admission.check import compile_checks
from exchange.avro.codec import Codec
from exchange.avro.record_schema import EXPIRES_AT, FieldRule, RecordSchema, record_schema
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.record_types import read_record_schemas
from exchange.errors import ExchangeError
from exchange.record import frame
from exchange.testing.examples import REJECT, SCHEMA_ID, Example, paths_of, read_example

SCHEMAS = Path(__file__).parents[3] / "schemas"
RECORD_SCHEMAS = read_record_schemas(SCHEMAS)
CODE_SETS = load_code_sets(SCHEMAS / FOLDER)
TODAY = (date(2026, 11, 24) - date(1970, 1, 1)).days
DATE = {"type": "int", "logicalType": "date"}
Refused = list[tuple[bytes, bytes]]
"""(key, framed value) of records that must be refused."""


def refused_examples(schema: RecordSchema) -> list[Example]:
    """Those that can be encoded at all."""
    found = []
    for path in paths_of(SCHEMAS, schema, REJECT):
        example = read_example(schema, path)
        if example.code != "E_ENCODE":
            found.append(example)
    return found


@cache
def codec_of(name: str) -> Codec:
    return Codec(RECORD_SCHEMAS[name].schema)


def code(check: Any, key: bytes, value: bytes) -> str | None:
    try:
        check(key, value, TODAY)
    except ExchangeError as error:
        return error.code
    return None


def without(schema: RecordSchema, field: str, change: dict[str, Any]) -> RecordSchema:
    """The schema with changed attributes of one field; None takes an attribute away."""
    changed = copy.deepcopy(schema.schema)
    for item in changed["fields"]:
        if item["name"] == field:
            item.update(change)
            for attribute in [name for name, value in item.items() if value is None and name != "default"]:
                del item[attribute]
    return record_schema(changed)


def is_date(rule: FieldRule) -> bool:
    return any(rule.type == date_type for date_type in (DATE, ["null", DATE]))


def mutants(schema: RecordSchema) -> Iterator[tuple[str, RecordSchema]]:
    """Every rule of a field by its name, and the schema without it. A part of the key is never empty, by no rule."""
    for rule in schema.fields:
        name = rule.name
        for attribute, value in (("identifier", rule.identifier), ("codeSet", rule.code_set), ("form", rule.form)):
            if value:
                yield f"{name}: {attribute}", without(schema, name, {attribute: None})
        if is_date(rule):
            if not rule.future:
                yield f"{name}: not in the future", without(schema, name, {"future": True})
            elif name != EXPIRES_AT:
                plain = "int" if rule.type == DATE else ["null", "int"]
                yield f"{name}: not before 1840", without(schema, name, {"type": plain, "future": None})
        nullable = isinstance(rule.type, list)
        if rule.required and nullable:
            yield f"{name}: required", without(schema, name, {"required": None})
        elif rule.type == "string" and not (
            rule.identifier or rule.code_set or rule.form or name in schema.natural_key
        ):
            yield f"{name}: not empty", without(schema, name, {"required": False})


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_without_any_rule_of_its_schema_a_refused_example_would_be_accepted(name: str) -> None:
    schema = RECORD_SCHEMAS[name]
    refused = [(one.kafka_key(schema), one.encoded(codec_of(name))) for one in refused_examples(schema)]
    uncovered = []
    for rule, mutant in mutants(schema):
        check = compile_checks(mutant, CODE_SETS)
        if all(code(check, key, value) for key, value in refused):
            uncovered.append(rule)
    assert uncovered == []


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_a_key_that_differs_in_any_part_is_refused_for_that_alone(name: str) -> None:
    """There is an example for each part of the natural key; with that part in the record it would be accepted."""
    schema = RECORD_SCHEMAS[name]
    check = compile_checks(schema, CODE_SETS)
    covered = set()
    for example in refused_examples(schema):
        if example.key is None:
            continue
        assert code(check, example.kafka_key(schema), example.encoded(codec_of(name))) == "E_KEY_MISMATCH"
        own = schema.key_of([example.values[part] for part in schema.natural_key])
        assert code(check, own, example.encoded(codec_of(name))) is None
        parts = zip(schema.natural_key, example.key.split("/"), own.decode().split("/"), strict=True)
        covered |= {part for part, sent, right in parts if sent != right}
    assert covered == set(schema.natural_key)


@pytest.mark.parametrize("name", RECORD_SCHEMAS)
def test_an_unknown_code_is_refused_with_the_name_of_its_list_and_without_the_value(name: str) -> None:
    schema = RECORD_SCHEMAS[name]
    check = compile_checks(schema, CODE_SETS)
    lists = {rule.code_set for rule in schema.fields if rule.code_set}
    named = set()
    for example in refused_examples(schema):
        if example.code == "E_CODE_UNKNOWN":
            with pytest.raises(ExchangeError) as error:
                check(example.kafka_key(schema), example.encoded(codec_of(name)), TODAY)
            said = [one for one in schema.fields if error.value.detail == f"field {one.name}: not in {one.code_set}"]
            named |= {one.code_set for one in said}
    assert named == lists


def test_the_form_of_a_text_is_that_of_the_whole_text() -> None:
    schema = with_fields({"name": "period", "type": ["null", "string"], "default": None, "form": "[0-9]{4}(Q[1-4])?"})
    check = compile_checks(schema, {})
    for text, verdict in (
        ("2026", None),
        ("2026Q3", None),
        (None, None),
        ("", "E_FIELD_FORM"),
        ("2026Q3\n", "E_FIELD_FORM"),
        ("x2026", "E_FIELD_FORM"),
        ("２０２６", "E_FIELD_FORM"),
    ):
        assert code(check, b"k", value_of(schema, period=text)) == verdict


def test_only_a_date_that_is_said_to_may_lie_in_the_future() -> None:
    until = {"name": "until", "type": DATE, "future": True}
    decided = {"name": "decided", "type": DATE}
    schema = with_fields(until, decided)
    check = compile_checks(schema, {})
    past, future, long_ago = date(2026, 1, 1), date(2029, 1, 1), date(202, 1, 1)
    assert code(check, b"k", value_of(schema, until=future, decided=past)) is None
    assert code(check, b"k", value_of(schema, until=past, decided=future)) == "E_DATE_IMPLAUSIBLE"
    assert code(check, b"k", value_of(schema, until=long_ago, decided=past)) == "E_DATE_IMPLAUSIBLE"


def with_fields(*more: dict[str, Any]) -> RecordSchema:
    words = {"doc": "x", "meaningZh": "x"}
    fields = [{"name": "key", "type": "string", **words}, *({**one, **words} for one in more)]
    head = {"type": "record", "name": "R", "recordType": "credit.permit", "naturalKey": ["key"]}
    return record_schema({**head, "provider": {"rule": "sole"}, "fields": fields})


def value_of(schema: RecordSchema, **values: Any) -> bytes:
    return frame(SCHEMA_ID) + Codec(schema.schema).encode({"key": "k", **values})


_OLD_CASE_NUMBERS = [
    "（2014）丰法民执字第00326号", "（2013）甬慈执民字第6021号", "（2015）绍虞执民字第01921号",
    "（2011）金义执民字第3472号", "（2014）绍虞执民字第00243号", "（2015）绍越执民字第00415号",
    "（2015）金婺执民字第04665号", "（2015）绍诸执民字第506号", "（2014）杭萧执民字第02031号",
    "（2009）绍诸民执字第03265号", "（2015）玉区法执字第747号", "（2015）河紫法执字第00403号",
    "（2015）惠中法执字第325号", "（2010）执监字第12号", "（2012）东执字第0123号",
    "（2015）二中执异字第4号之一",
]  # fmt: skip
_MIXED_CASE_NUMBERS = [
    "（2003）皖3499执字第00012号",
    "（2016）示法皖3499执字第00034号",
    "（2016）皖3499执恢字第5号之一",
    "（2015）皖示北区法民执字第06789号",
]
"""Made up, in shapes of published lists: the court's code of 2016 beside the words of before."""


@pytest.mark.parametrize(
    "number", [*_OLD_CASE_NUMBERS, *_MIXED_CASE_NUMBERS, "（2024）皖01执恢5号", "（2016）最高法执监12号之二"]
)
def test_case_numbers_of_before_and_after_2016_have_the_form_of_an_execution_case(number: str) -> None:
    assert re.fullmatch(RECORD_SCHEMAS["credit.dishonest-debtor"].field("case_number").form, number)


@pytest.mark.parametrize(
    "number",
    [
        "（2016）皖34990执字第1号",
        "（2016）皖3499初字第1号",
        "（2015）中-法执字第08491号",
        "（2015）丰法民初字第1号",
        "(2014)丰法民执字第00326号",
        "（2014）丰执字第号",
    ],
)
def test_what_is_no_execution_case_has_not_its_form(number: str) -> None:
    assert not re.fullmatch(RECORD_SCHEMAS["credit.dishonest-debtor"].field("case_number").form, number)

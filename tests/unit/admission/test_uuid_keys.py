"""A uuid as natural key: what a source encodes passes admission, however the database writes it, and nothing else."""

from typing import Any
from uuid import UUID

import pytest

from exchange.admission.check import compile_checks
from exchange.avro.codec import Codec
from exchange.avro.lock import LockedSchema
from exchange.avro.record_schema import record_schema
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.intake.encode import Encoder
from exchange.names import SchemaId
from exchange.record import frame

TEXT = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WORDS = {"doc": "x", "meaningZh": "x"}
ID = SchemaId(999)
TODAY = 20_000


def schema(*key: str, **more: Any) -> dict[str, Any]:
    uuid = {"type": "string", "logicalType": "uuid"}
    fields = [{"name": "office", "type": "string", **WORDS}, {"name": "id", "type": uuid, **WORDS, **more}]
    head = {"type": "record", "name": "R", "recordType": "credit.permit", "provider": {"rule": "sole"}}
    return {**head, "naturalKey": list(key), "fields": fields}


def encoder(*key: str) -> Encoder:
    made = schema(*key)
    return Encoder(LockedSchema(ID, "credit.permit", 1, made, record_schema(made)))


@pytest.mark.parametrize("value", [UUID(TEXT), TEXT, TEXT.upper(), TEXT.replace("-", ""), f"{{{TEXT}}}"])
@pytest.mark.parametrize(("key", "wanted"), [(("id",), TEXT), (("office", "id"), f"a%20b/{TEXT}")])
def test_a_record_with_a_uuid_as_key_passes_admission(value: object, key: tuple[str, ...], wanted: str) -> None:
    out = encoder(*key).encode({"office": "a b", "id": value}, SourceRow({}, 1))
    assert (out.key, out.value is not None) == (wanted.encode(), True)
    compile_checks(record_schema(schema(*key)), {})(out.key, out.value or b"", TODAY)
    assert encoder(*key).encode({"office": "a b", "id": value}, SourceRow({}, 1, withdrawn=True)).key == out.key


@pytest.mark.parametrize("key", [OTHER, TEXT.upper(), TEXT.replace("-", ""), f"H{TEXT}", ""])
def test_a_record_under_another_uuid_is_refused(key: str) -> None:
    made = schema("id")
    value = frame(ID) + Codec(made).encode({"office": "a", "id": TEXT})
    with pytest.raises(ExchangeError) as caught:
        compile_checks(record_schema(made), {})(key.encode(), value, TODAY)
    assert caught.value.code == "E_KEY_MISMATCH"
    assert TEXT not in str(caught.value)


def test_a_key_that_is_no_uuid_is_named_and_never_shown() -> None:
    with pytest.raises(ExchangeError, match="id: a part of the key is no uuid") as caught:
        encoder("id").encode({"office": "a", "id": "Zhang Wei"}, SourceRow({}, 1))
    assert "Zhang" not in str(caught.value)


@pytest.mark.parametrize("rule", [{"form": "[0-9a-f-]+"}, {"codeSet": "GB/T 2260"}, {"identifier": "region"}])
def test_a_uuid_has_no_rule_of_texts(rule: dict[str, str]) -> None:
    with pytest.raises(ExchangeError, match="a string has one of"):
        record_schema(schema("office", **rule))

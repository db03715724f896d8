"""The Confluent read API beyond single look-ups: prefixes, pages, other spellings of a schema, its error numbers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.grants.place import PlaceGrant
from exchange.names import Department
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
SUBJECT = "legal-entity.registration"
FORM = "application/vnd.schemaregistry.v1+json"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("registry")) as harness:
        yield harness


@pytest.fixture(scope="module")
def share(harness: WebHarness) -> tuple[int, str]:
    """Id and subject of a share's own schema."""
    service = harness.service
    stated: dict[str, Any] = {"legal_basis": "a", "scenario": "b", "use_scope": "c", "mode": "batch-exchange"}
    command = SubmitDemand(
        demander=Department(TAX), resource="102001/0001", fields=("name",), schemas=service.schemas, **stated
    )
    demand = service.ledger.execute(command, TAX).entities[0]
    service.ledger.execute(ConsentDemand(demand=demand, by=Department(MARKET), schemas=service.schemas), MARKET)
    grant = next(iter(service.ledger.state.grants.values()))
    service.ledger.execute(PlaceGrant(grant.grant, service.schemas))
    placed = next(iter(service.ledger.state.shares.values()))
    return placed.schema_id, f"share.{placed.share}-value"


def get(harness: WebHarness, path: str, **params: Any) -> Any:
    answer = harness.get(TAX, path, **params)
    assert answer.is_success, answer.text
    assert answer.headers["content-type"] == FORM
    return answer.json()


def failed(answer: httpx.Response) -> tuple[int, int]:
    assert answer.headers["content-type"] == FORM
    assert set(answer.json()) == {"error_code", "message"}
    return answer.status_code, answer.json()["error_code"]


def look_up(harness: WebHarness, subject: str, body: dict[str, Any], **params: Any) -> httpx.Response:
    headers = harness.as_(TAX) | {"Content-Type": FORM, "Accept": f"{FORM}, application/json"}
    return harness.http.post(f"/subjects/{subject}", content=json.dumps(body), params=params, headers=headers)


def test_subjects_are_found_by_prefix_and_page(harness: WebHarness) -> None:
    every = get(harness, "/subjects")
    assert every == sorted(set(every))
    wanted = [one for one in every if one.startswith("inbox.legal-entity.")]
    assert wanted
    assert get(harness, "/subjects", subjectPrefix="inbox.legal-entity.") == wanted
    assert get(harness, "/subjects", subjectPrefix=":.:inbox.legal-entity.") == wanted
    assert get(harness, "/subjects", subjectPrefix=":*:", deleted=True) == every
    assert get(harness, "/subjects", offset=1, limit=2) == every[1:3]
    assert get(harness, "/subjects", deletedOnly=True) == []
    assert get(harness, "/subjects", subjectPrefix="nothing-like-it") == []


def test_versions_and_schemas_are_listed(harness: WebHarness) -> None:
    assert get(harness, f"/subjects/{SUBJECT}/versions", deleted=False) == [1, 2]
    assert get(harness, f"/subjects/:.:{SUBJECT}/versions") == [1, 2]
    assert get(harness, f"/subjects/{SUBJECT}/versions", offset=1) == [2]
    assert get(harness, f"/subjects/{SUBJECT}/versions", deletedOnly=True) == []
    shown = get(harness, "/schemas", subjectPrefix=SUBJECT)
    assert [(one["subject"], one["version"]) for one in shown] == [(SUBJECT, 1), (SUBJECT, 2)]
    latest = get(harness, "/schemas", subjectPrefix=SUBJECT, latestOnly=True)
    assert [one["version"] for one in latest] == [2]
    assert latest[0] == get(harness, f"/subjects/{SUBJECT}/versions/-1")
    assert get(harness, f"/subjects/{SUBJECT}/versions/latest/schema") == json.loads(latest[0]["schema"])
    assert get(harness, f"/subjects/{SUBJECT}/versions/1/referencedby") == []
    assert get(harness, "/contexts") == ["."]


def test_an_id_names_every_subject_that_uses_it(harness: WebHarness, share: tuple[int, str]) -> None:
    latest = get(harness, f"/subjects/{SUBJECT}/versions/latest")
    subjects = get(harness, f"/schemas/ids/{latest['id']}/subjects")
    assert {SUBJECT, f"registry.{SUBJECT}-value", f"inbox.{SUBJECT}.{MARKET}-value"} <= set(subjects)
    places = get(harness, f"/schemas/ids/{latest['id']}/versions")
    assert places == [{"subject": subject, "version": 2} for subject in subjects]
    schema_id, subject = share
    assert schema_id >= 100_000
    assert get(harness, f"/schemas/ids/{schema_id}/subjects") == [subject]
    assert get(harness, f"/schemas/ids/{schema_id}", subject=subject, fetchMaxId=False).keys() == {"schema"}
    assert get(harness, f"/schemas/ids/{schema_id}/schema") == get(harness, f"/subjects/{subject}/versions/1/schema")


def places(schema_id: int | str, subject: str) -> list[str]:
    """Every path under which a share could be seen."""
    return [
        f"/subjects/{subject}/versions",
        f"/subjects/{subject}/versions/1",
        f"/subjects/{subject}/versions/latest",
        f"/subjects/:.:{subject}/versions/latest/schema",
        f"/subjects/{subject}/versions/1/referencedby",
        f"/schemas/ids/{schema_id}",
        f"/schemas/ids/{schema_id}/schema",
        f"/schemas/ids/{schema_id}/versions",
        f"/schemas/ids/{schema_id}/subjects",
        f"/config/{subject}",
        f"/mode/{subject}",
    ]


@pytest.mark.parametrize("who", [TAX, MARKET, "auditor", "operator"])
def test_a_share_is_seen_by_its_two_departments_and_by_overseers(
    harness: WebHarness, share: tuple[int, str], who: str
) -> None:
    for path in places(*share):
        assert harness.get(who, path).status_code == 200, path
    assert share[1] in harness.get(who, "/subjects").json()
    assert share[1] in {one["subject"] for one in harness.get(who, "/schemas").json()}


def test_to_a_third_department_a_share_is_as_if_there_were_none(harness: WebHarness, share: tuple[int, str]) -> None:
    absent = places(share[0] + 7, share[1].replace("share.", "share.not-"))
    for path, nothing in zip(places(*share), absent, strict=True):
        foreign, missing = harness.get(STRANGER, path), harness.get(STRANGER, nothing)
        told = (foreign.status_code, foreign.json()["error_code"], foreign.json()["message"].split("'")[0])
        assert told == (missing.status_code, missing.json()["error_code"], missing.json()["message"].split("'")[0])
        assert foreign.status_code == 404
        names = {"date", "content-length"}
        assert {*foreign.headers} - names == {*missing.headers} - names
    assert not any(one.startswith("share.") for one in harness.get(STRANGER, "/subjects").json())
    for params in ({}, {"subjectPrefix": "share."}, {"subjectPrefix": ":*:share."}, {"deleted": "true"}):
        assert share[1] not in harness.get(STRANGER, "/subjects", **params).text
        assert share[1] not in harness.get(STRANGER, "/schemas", **params).text


def test_a_third_department_cannot_guess_what_a_share_holds(harness: WebHarness, share: tuple[int, str]) -> None:
    schema = get(harness, f"/subjects/{share[1]}/versions/1/schema")
    for path in (
        f"/subjects/{share[1]}",
        f"/compatibility/subjects/{share[1]}/versions/1",
        f"/compatibility/subjects/{share[1]}/versions",
    ):
        answer = harness.http.post(path, json={"schema": json.dumps(schema)}, headers=harness.as_(STRANGER))
        assert failed(answer) == (404, 40401), path


def test_who_succeeded_the_holder_of_a_share_finds_its_schema(share: tuple[int, str], harness: WebHarness) -> None:
    state = harness.service.ledger.state
    before = state.departments[Department(TAX)]
    state.departments[Department(TAX)] = replace(before, successors=(Department("finance"),), followed=True)
    try:
        assert harness.get("finance", f"/schemas/ids/{share[0]}").is_success
    finally:
        state.departments[Department(TAX)] = before


def test_the_record_types_of_the_base_registries_are_for_every_department(harness: WebHarness) -> None:
    mine, theirs = (set(harness.get(who, "/subjects").json()) for who in (STRANGER, TAX))
    assert SUBJECT in mine and f"registry.{SUBJECT}-value" in mine
    assert {one for one in theirs - mine if not one.startswith("share.")} == set()


def test_a_schema_is_found_however_a_client_writes_it(harness: WebHarness, share: tuple[int, str]) -> None:
    for subject in (SUBJECT, share[1]):
        latest = get(harness, f"/subjects/{subject}/versions/latest")
        schema = json.loads(latest["schema"])
        name, namespace = schema["name"], schema.get("namespace", "")
        full = name if "." in name else f"{namespace}.{name}"
        otherwise = {part: schema[part] for part in reversed(schema)} | {
            "namespace": full.rpartition(".")[0],
            "name": full.rpartition(".")[2],
            "aliases": [],
        }
        for written in (schema, otherwise):
            for params in ({}, {"normalize": "true", "deleted": "false"}):
                body = {"schema": json.dumps(written, indent=2), "schemaType": "AVRO", "references": []}
                answer = look_up(harness, subject, body, **params)
                assert answer.json() == latest, answer.text


def test_schemas_of_other_kinds_are_refused_in_the_clients_own_words(harness: WebHarness) -> None:
    body = {"schema": '"string"'}
    assert failed(look_up(harness, SUBJECT, body | {"schemaType": "PROTOBUF"})) == (422, 42201)
    assert failed(look_up(harness, SUBJECT, body | {"references": [{"name": "x"}]})) == (422, 42201)
    assert failed(look_up(harness, SUBJECT, {})) == (422, 42201)
    assert failed(look_up(harness, SUBJECT, body)) == (404, 40403)
    assert failed(look_up(harness, "nothing", body)) == (404, 40401)


def test_versions_that_are_none_and_unknown_paths(harness: WebHarness) -> None:
    for path, expected in (
        (f"/subjects/{SUBJECT}/versions/3", (404, 40402)),
        (f"/subjects/{SUBJECT}/versions/2147483648", (404, 40402)),
        (f"/subjects/{SUBJECT}/versions/0", (422, 42202)),
        (f"/subjects/{SUBJECT}/versions/{'9' * 5000}", (422, 42202)),
        (f"/subjects/{SUBJECT}/versions/３", (422, 42202)),
        ("/schemas/ids/100999", (404, 40403)),
        (f"/schemas/ids/{'9' * 40}", (404, 40403)),
        ("/schemas/nothing", (404, 404)),
        ("/mode/nothing", (404, 40401)),
    ):
        assert failed(harness.get(TAX, path)) == expected, path
    assert failed(harness.get(TAX, "/subjects", limit="x")) == (422, 42201)
    assert failed(harness.http.patch("/subjects", headers=harness.as_(TAX))) == (405, 405)
    assert failed(harness.http.get("/subjects")) == (401, 40101)
    assert get(harness, f"/mode/{SUBJECT}") == {"mode": "READONLY"}
    assert get(harness, f"/config/{SUBJECT}", defaultToGlobal=True) == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_compatibility_with_one_version_and_with_all(harness: WebHarness) -> None:
    schema = get(harness, f"/subjects/{SUBJECT}/versions/latest/schema")
    longer = schema | {"fields": [*schema["fields"], {"name": "more", "type": ["null", "string"], "default": None}]}
    broken = schema | {"fields": [*schema["fields"], {"name": "more", "type": "string"}]}
    for path in (f"/compatibility/subjects/{SUBJECT}/versions/latest", f"/compatibility/subjects/{SUBJECT}/versions"):
        for written, compatible in ((longer, True), (broken, False)):
            body = {"schema": json.dumps(written)}
            answer = harness.http.post(path, json=body, params={"verbose": True}, headers=harness.as_(TAX))
            assert answer.json()["is_compatible"] is compatible, path
            assert bool(answer.json()["messages"]) is not compatible
    answer = harness.http.post(
        "/compatibility/subjects/nothing/versions", json={"schema": '"int"'}, headers=harness.as_(TAX)
    )
    assert failed(answer) == (404, 40401)


def test_every_read_of_the_standard_python_client_works(harness: WebHarness, share: tuple[int, str]) -> None:
    harness.as_(TAX)
    schema_id, subject = share
    with SchemaRegistryClient({"url": harness.url, "basic.auth.user.info": f"{TAX}:{harness.tokens[TAX]}"}) as client:
        assert client.get_subjects(subject_prefix="share.", limit=5) == [subject]
        assert client.get_versions(SUBJECT, offset=1) == [2]
        latest = client.get_latest_version(SUBJECT)
        assert client.get_version(SUBJECT, 2).schema_id == latest.schema_id
        own = client.get_schema(schema_id, subject)
        assert client.lookup_schema(subject, own, normalize_schemas=True).schema_id == schema_id
        assert [one.subject for one in client.get_schema_versions(schema_id)] == [subject]
        assert client.get_subjects_by_schema_id(latest.schema_id, limit=1) == [SUBJECT]
        assert client.get_referenced_by(SUBJECT, 1) == []
        assert client.test_compatibility(SUBJECT, latest.schema) is True
        assert client.test_compatibility_all_versions(SUBJECT, latest.schema, verbose=True) is True
        assert client.get_compatibility() == client.get_compatibility(SUBJECT) == "FULL_TRANSITIVE"
        assert client.get_config(SUBJECT).compatibility_level == "FULL_TRANSITIVE"
        assert client.get_global_mode() == client.get_mode(SUBJECT) == "READONLY"
        assert (client.get_contexts(), client.get_schema_types()) == (["."], ["AVRO"])
        writes: list[Callable[[], object]] = [
            lambda: client.register_schema(SUBJECT, Schema('"long"', "AVRO")),
            lambda: client.register_schema_full_response("new", Schema('"int"', "AVRO")),
            lambda: client.set_compatibility(SUBJECT, "NONE"),
            lambda: client.update_mode(SUBJECT, "READWRITE"),
            lambda: client.update_global_mode("READWRITE"),
            lambda: client.delete_version(SUBJECT, 1),
            lambda: client.delete_subject(SUBJECT),
            lambda: client.delete_config(SUBJECT),
        ]
        for write in writes:
            with pytest.raises(SchemaRegistryError) as refused:
                write()
            assert (refused.value.http_status_code, refused.value.error_code) == (403, 40301)

"""Whatever is sent to whatever the API describes, as whoever: no fault, no undescribed answer, no other's business."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from tests.harness.hostile_client import hostile
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
CALLERS = (None, STRANGER, "auditor", "supervisor", TAX, MARKET, "operator")
"""The last ones can change most; nobody sees what is between TAX and MARKET but they and the overseers."""
OPEN = {"/healthz", "/readyz", "/metrics"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HELD = 64
"""Connections that a slow client holds all the time."""
MARK = "between-two-departments-alone"
EXAMPLES = 6
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": MARK,
    "scenario": MARK,
    "use_scope": MARK,
    "mode": "batch-exchange",
}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    """An API with demands in several states, a grant that serves and one that does not."""
    plenty: dict[str, Any] = {
        "requests_per_second": 100_000,
        "request_burst": 100_000,
        "bad_tokens_per_minute": 100_000,
    }
    with web_harness(tmp_path_factory.mktemp("api"), **plenty) as harness:
        for caller in CALLERS[1:]:
            harness.as_(str(caller))
        port = httpx.URL(harness.url).port or 80
        with hostile(port, "slow-body", HELD, "/v1/demands", renewed=True) as slow:
            yield harness
            assert slow.left() == HELD


@pytest.fixture(scope="module")
def known(harness: WebHarness) -> dict[str, list[str]]:
    """Values of path parameters under which there is something."""
    demands = [
        harness.post(TAX, "/v1/demands", DEMAND | {"fields": ["credit_code", name], "scenario": name})
        .raise_for_status()
        .json()["demand"]
        for name in ("name", "address", "status", "approved")
    ]
    grants = []
    for demand in demands[:2]:
        shown = harness.post(MARKET, f"/v1/demands/{demand}/consent").raise_for_status().json()
        grants.append(shown["grants"][-1])
    service = harness.service
    for command in (
        PlaceGrant(grants[0], service.schemas),
        ActivateGrant(grants[0]),
        MarkFirstDelivered(grants[0], False),
    ):
        service.ledger.execute(command)
    doubt = {"grant": grants[0], "key": "91340100MA2MRY1T4G", "fields": ["name"], "words": MARK}
    corrections = [harness.post(TAX, "/v1/corrections", doubt).raise_for_status().json()["correction"] for _ in "12"]
    spare = harness.post("operator", "/v1/tokens", {"role": "auditor"}).json()["id"]
    share = service.ledger.state.grants[grants[0]].share
    return {
        "demand": demands,
        "grant": grants,
        "correction": corrections,
        "department": [TAX, STRANGER],
        "resource": ["102001/0001"],
        "token": [spare],
        "subject": ["population.death", f"share.{share}-value"],
        "version": ["1", "latest"],
        "schema_id": ["1", "100000"],
        "partition": ["0"],
        "offset": ["0"],
    }


@pytest.fixture(scope="module")
def described(harness: WebHarness) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_url(f"{harness.url}/openapi.json")
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return schema


def test_whatever_is_sent_as_whoever(
    harness: WebHarness, described: schemathesis.BaseSchema, known: dict[str, list[str]]
) -> None:
    operations = [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == sum(len(item) for item in described.raw_schema["paths"].values())
    private = re.compile(
        "|".join([MARK, *(rf'"{one}"' for one in known["demand"] + known["grant"] + known["correction"])])
    )
    done = {operation.label for operation in operations if _try(operation, harness, known, private)}
    assert len(done) > len(operations) / 2, "most operations were done at least once"


def test_every_list_pages_by_cursor_and_no_page_is_lost(
    harness: WebHarness, described: schemathesis.BaseSchema, known: dict[str, list[str]]
) -> None:
    lists = 0
    for template, item in described.raw_schema["paths"].items():
        if "get" not in item or not template.startswith("/v1"):
            continue
        path = re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], ["none"])[0], template)
        whole = harness.get("operator", path)
        if whole.headers["content-type"] != "application/json" or "items" not in whole.json():
            continue
        lists += 1
        assert "next" in whole.json(), f"{template} is a list without a cursor"
        found: list[Any] = []
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = harness.get("operator", path, limit=1, **cursor).json()
            assert len(page["items"]) <= 1, template
            found += page["items"]
            cursor = None if page["next"] is None else {"cursor": page["next"]}
        assert found == whole.json()["items"][: len(found)], template
        assert len(found) == len(whole.json()["items"]) or whole.json()["next"] is not None, template
    assert lists >= 8


def _try(operation: Any, harness: WebHarness, known: dict[str, list[str]], private: re.Pattern[str]) -> bool:
    """Send examples of an operation as every caller. Returns whether one of them was done."""
    done = False

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), data=st.data())
    def tried(case: Case[Any], data: st.DataObject) -> None:
        nonlocal done
        for name in sorted(set(case.path_parameters or {}) & set(known)):
            if data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(known[name]))
        for caller in CALLERS:
            answer = _sent(case, harness, caller)
            case.validate_response(answer, checks=CHECKS)
            where = f"{operation.label} as {caller}: {answer.status_code}"
            if caller is None and operation.path not in OPEN:
                assert 400 <= answer.status_code < 500, where
            succeeded = 200 <= answer.status_code < 300
            done = done or succeeded
            if caller == "auditor" and case.method != "GET" and operation.path.startswith("/v1"):
                assert not succeeded, f"{where}: an auditor changes nothing"
            if caller in (None, STRANGER) and succeeded:
                assert not private.search(answer.text), where

    tried()
    return done


def _sent(case: Case[Any], harness: WebHarness, caller: str | None) -> Any:
    case.headers.pop("authorization", None)
    return case.call(headers={} if caller is None else harness.as_(caller))

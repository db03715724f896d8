"""A hostile department and an overseer that means well, in a process of their own, against a running service.

What a share discloses, and who gives more of it, is decided by the API alone: no page and no command line stands before
it here.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.broker.demands.automatic import ConsentUnconditional
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.identifiers.resident_id import check_character
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, HEALTH = "taxation", "market-regulation", "health"
BODY = "34010219900101123"
RESIDENT_ID = BODY + check_character(BODY)
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code"],
    "legal_basis": "a law",
    "scenario": "a duty",
    "use_scope": "all",
    "mode": "batch-exchange",
}
CLIENT = """
import json, sys, urllib.error, urllib.request
told = json.load(sys.stdin)
for token, method, path, body in told["requests"]:
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(told["url"] + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            print(json.dumps([answer.status, json.load(answer)]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, json.load(error)]))
"""


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        yield harness


class Hostile:
    """Sends requests from another process. `who`: a department or a role."""

    def __init__(self, harness: WebHarness) -> None:
        self.harness = harness

    def send(self, *requests: tuple[str, str, Any]) -> list[tuple[int, dict[str, Any]]]:
        """The answers to (who, path, body) each; without a body it is read."""
        sent = []
        for who, path, body in requests:
            token = self.harness.as_(who)["Authorization"].removeprefix("Bearer ")
            sent.append([token, "GET" if body is None else "POST", path, body])
        told = json.dumps({"url": self.harness.url, "requests": sent})
        command = [sys.executable, "-c", CLIENT]
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=120, check=True)
        return [tuple(json.loads(line)) for line in done.stdout.splitlines()]

    def one(self, who: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """The answer to one request."""
        return self.send((who, path, body))[0]


@pytest.fixture
def hostile(harness: WebHarness) -> Hostile:
    return Hostile(harness)


def scope(field: str, operator: str = "equals", *values: str) -> dict[str, Any]:
    return {"scope": [{"field": field, "operator": operator, "values": list(values) or ["1"]}]}


def consents(harness: WebHarness) -> int:
    """What the exchange grants by itself now."""
    return len(harness.service.ledger.execute(ConsentUnconditional(harness.service.schemas), "exchange").entities)


def granted(hostile: Hostile, **asked: Any) -> str:
    _, demand = hostile.one(TAX, "/v1/demands", {**DEMAND, **asked})
    _, answer = hostile.one(MARKET, f"/v1/demands/{demand['demand']}/consent", {})
    return str(answer["grants"][-1])


def test_a_hostile_department_learns_nothing_by_the_rows_that_it_asks_for(
    harness: WebHarness, hostile: Hostile
) -> None:
    tries = {
        "a surname": scope("legal_representative", "prefix", "张"),
        "a number": scope("name", "equals", RESIDENT_ID),
        "a number in other digits": scope("name", "equals", "".join(chr(ord(one) + 0xFEE0) for one in RESIDENT_ID)),
        "a mask undone": {"fields": ["credit_code", "region"], "masks": {"region": "first"}, **scope("region")},
        "a pseudonym undone": {"fields": ["status"], **scope("credit_code", "equals", "91340100MA2XXXXX0X")},
        "a field with capitals": scope("Region", "prefix", "34"),
        "a field within a field": scope("region.code", "prefix", "34"),
        "other digits": scope("region", "prefix", "３４"),
        "ten thousand values": scope("name", "in", *map(str, range(10_000))),
        "many conditions of many values": {
            "scope": [
                part for n in range(3) for part in scope("name", "in", *(f"{n}-{m}" for m in range(999)))["scope"]
            ]
        },
        "a person of the household register": {
            "resource": "101001/0001",
            "fields": ["resident_id"],
            **scope("resident_id", "equals", RESIDENT_ID),
        },
        "where nobody offers it": {
            "resource": None,
            "record_type": "population.resident",
            "provider": HEALTH,
            "fields": ["name"],
            **scope("resident_id", "equals", RESIDENT_ID),
        },
    }
    before = harness.service.ledger.state.seq
    answers = hostile.send(*((TAX, "/v1/demands", {**DEMAND, **asked}) for asked in tries.values()))
    after = harness.service.ledger.state
    codes = {name: (status, told.get("code")) for name, (status, told) in zip(tries, answers, strict=True)}
    assert {status for status, _ in codes.values()} <= {403, 404, 409, 422}, codes
    assert {code for _, code in codes.values()} <= {
        "E_SCOPE",
        "E_SCOPE_PERSONAL",
        "E_SCOPE_HIDDEN",
        "E_UNKNOWN_FIELD",
        "E_REQUEST",
    }, codes
    assert not any(event.event == "demand-submitted" for event in harness.service.ledger.events[before:])
    assert RESIDENT_ID not in json.dumps([event.data for event in harness.service.ledger.events])
    assert RESIDENT_ID not in json.dumps(answers), "a refusal repeats no value"
    assert after.demands == {}


def test_no_words_of_a_command_carry_an_identity_number_into_the_ledger(harness: WebHarness, hostile: Hostile) -> None:
    grant = granted(hostile)
    number = f"{RESIDENT_ID[:6]} {RESIDENT_ID[6:]}"
    answers = hostile.send(
        *((TAX, "/v1/demands", {**DEMAND, name: f"核验{number}"}) for name in ("scenario", "legal_basis", "request")),
        (TAX, f"/v1/grants/{grant}/uses", {"scenario": "核验", "process": f"查询{RESIDENT_ID}"}),
        (MARKET, f"/v1/grants/{grant}/suspend", {"reason": number}),
        (MARKET, f"/v1/grants/{grant}/amend", {"reason": number}),
    )
    assert [(status, told["code"]) for status, told in answers] == [(422, "E_REQUEST")] * len(answers)
    assert "resident id" in answers[0][1]["detail"] and RESIDENT_ID not in json.dumps(answers)
    assert RESIDENT_ID[6:] not in json.dumps([event.data for event in harness.service.ledger.events])


def test_a_conditional_field_is_not_had_by_choosing_rows_with_it(harness: WebHarness, hostile: Hostile) -> None:
    status, demand = hostile.one(TAX, "/v1/demands", {**DEMAND, **scope("old_number", "prefix", "3401")})
    assert status == 201 and consents(harness) == 0
    _, shown = hostile.one(TAX, f"/v1/demands/{demand['demand']}")
    assert (shown["state"], shown["grants"]) == ("submitted", [])
    hostile.one(TAX, "/v1/demands", {**DEMAND, **scope("region", "prefix", "3401"), "scenario": "another duty"})
    assert consents(harness) == 1, "what is shared without conditions is still granted at once"


def test_two_demands_of_one_masked_and_one_scoped_share_are_not_laid_over_each_other(
    harness: WebHarness, hostile: Hostile
) -> None:
    """One shows the number masked beside the key, the other would show whose number begins how."""
    masked = {"fields": ["credit_code", "old_number"], "masks": {"old_number": "ends"}, "scenario": "a first duty"}
    scoped = {**scope("old_number", "prefix", "3401000001"), "scenario": "a second duty"}
    answers = hostile.send(*((TAX, "/v1/demands", {**DEMAND, **asked}) for asked in (masked, scoped)))
    assert [status for status, _ in answers] == [201, 201]
    assert consents(harness) == 0, "a person sees both, and which field each tells"


@pytest.mark.parametrize("overseer", ["operator", "supervisor"])
def test_an_overseer_gives_nothing_by_an_amendment(harness: WebHarness, hostile: Hostile, overseer: str) -> None:
    _, demand = hostile.one(
        TAX, "/v1/demands", {**DEMAND, "fields": ["credit_code", "name", "status", "region", "industry"]}
    )
    said = {
        "fields": ["credit_code", "name", "status"],
        "masks": {"name": "first"},
        **scope("region", "prefix", "3401"),
    }
    _, answer = hostile.one(MARKET, f"/v1/demands/{demand['demand']}/consent", said)
    grant = answer["grants"][-1]
    ledger, schemas = harness.service.ledger, harness.service.schemas
    ledger.execute(PlaceGrant(grant, schemas), "exchange")
    ledger.execute(ActivateGrant(grant), "exchange")
    path = f"/v1/grants/{grant}/amend"
    wider = [
        {"fields": demand["fields"]},
        {"masks": {"name": None}},
        {"scope": []},
        {"freshness_seconds": 60},
        {"fields": demand["fields"], "masks": {}, "scope": []},
    ]
    answers = hostile.send(*((overseer, path, {"reason": "x", **more}) for more in wider))
    assert [(status, told["code"]) for status, told in answers] == [(403, "E_ROLE")] * len(wider)
    status, shown = hostile.one(overseer, path, {"reason": "x"})
    assert (status, shown["amendment"], shown["fields"]) == (200, None, ["credit_code", "name", "status"])
    _, less = hostile.one(overseer, path, {"reason": "x", "fields": ["credit_code", "name"]})
    assert (less["amendment"]["fields"], less["amendment"]["masks"]) == (["credit_code", "name"], {"name": "first"})
    _, more = hostile.one(MARKET, path, {"reason": "x", "fields": ["credit_code", "name", "industry"]})
    assert more["amendment"]["fields"] == ["credit_code", "name", "industry"]
    assert (more["amendment"]["masks"], len(more["amendment"]["scope"])) == ({"name": "first"}, 1)


@pytest.mark.parametrize("overseer", ["operator", "supervisor"])
def test_what_the_owner_has_stopped_no_overseer_lets_go_on(hostile: Hostile, overseer: str) -> None:
    grant = granted(hostile)
    reason = {"reason": "misuse"}
    steps = [
        (MARKET, f"/v1/grants/{grant}/suspend", reason),
        (overseer, f"/v1/grants/{grant}/resume", {}),
        (overseer, f"/v1/grants/{grant}/suspend", reason),
        (overseer, f"/v1/grants/{grant}/resume", {}),
        (MARKET, f"/v1/grants/{grant}/resume", {}),
    ]
    answers = hostile.send(*steps)
    assert [status for status, _ in answers] == [200, 403, 200, 200, 200]
    assert [told.get("suspended_by") for _, told in answers] == [
        ["provider"],
        None,
        ["overseer", "provider"],
        ["provider"],
        [],
    ]


def test_a_grantee_amends_and_resumes_nothing(hostile: Hostile) -> None:
    grant = granted(hostile)
    hostile.one(MARKET, f"/v1/grants/{grant}/suspend", {"reason": "misuse"})
    for path in ("amend", "resume", "suspend"):
        status, told = hostile.one(TAX, f"/v1/grants/{grant}/{path}", {"reason": "x"} if path != "resume" else {})
        assert (status, told["code"]) == (403, "E_ROLE")

"""Moments that callers send are RFC 3339 with a zone, of our time; nothing else is taken for one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.memory.web import WebHarness, refused, web_harness

ODD = [
    "20270101",
    "2026",
    "1767225600",
    "1767225600.5",
    "2027-01-01",
    "2027-01-01T00:00:00",
    "20270101T000000Z",
    "2027-01-01T00:00Z",
    "2027-W01-1T00:00:00Z",
    "2027-01-01T00:00:00+24:00",
    "2027-01-01T00:00:60Z",
    "2027-02-30T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "1999-12-31T23:59:59Z",
    "3000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59-14:00",
    "2027-01-01T24:00:00Z",
    "2027-01-01T00:00:00,5Z",
    "2027-01-01 00:00:00Z",
    "٢٠٢٧-01-01T00:00:00Z",
    "now",
    "",
]
GOOD = [
    "2026-01-01T00:00:00.123456789Z",
    "2026-01-01T00:00:00+08:00",
    "2000-01-01T00:00:00Z",
    "2026-01-01t00:00:00.123456z",
    "2026-01-01T00:00:00-12:00",
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("moments"), requests_per_second=100_000, request_burst=10_000) as harness:
        yield harness


@pytest.mark.parametrize("moment", ODD)
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/satisfaction", ("at",)),
        ("/v1/satisfaction", ("from", "until")),
        ("/v1/quarantine", ("since",)),
    ],
)
def test_a_query_takes_no_other_text_for_a_moment(
    harness: WebHarness, path: str, names: tuple[str, ...], moment: str
) -> None:
    document = refused(harness.get("operator", path, **dict.fromkeys(names, moment)), 422, "E_REQUEST")
    assert not moment or moment not in document["detail"]


@pytest.mark.parametrize("moment", [*ODD, 20270101, 1767225600.0, True, [], {}])
@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("taxation", "/v1/demands", {"resource": "102001/0001", "use_from": None}),
        ("taxation", "/v1/demands", {"resource": "102001/0001", "use_until": None}),
        ("market-regulation", "/v1/demands/d-1/consent", {"until": None}),
        ("taxation", "/v1/demands/d-1/renew", {"use_until": None}),
        ("operator", "/v1/quarantine/redrive", {"department": "market-regulation", "since": None}),
        ("operator", "/v1/quarantine/discard", {"department": "market-regulation", "reason": "x", "since": None}),
    ],
)
def test_a_body_takes_no_other_value_for_a_moment(
    harness: WebHarness, who: str, path: str, body: dict[str, Any], moment: Any
) -> None:
    sent = {name: moment if value is None else value for name, value in body.items()}
    refused(harness.post(who, path, sent), 422, "E_REQUEST")


@pytest.mark.parametrize("moment", GOOD)
def test_a_moment_with_its_zone_is_taken(harness: WebHarness, moment: str) -> None:
    assert harness.get("operator", "/v1/satisfaction", at=moment).status_code == 200
    assert harness.get("operator", "/v1/quarantine", since=moment).status_code == 200


def test_the_document_says_what_a_moment_is(harness: WebHarness) -> None:
    schemas = harness.http.get("/openapi.json").json()["components"]["schemas"]
    (said, _null) = schemas["DemandBody"]["properties"]["use_from"]["anyOf"]
    assert (said["type"], said["format"]) == ("string", "date-time")
    assert "RFC 3339" in said["description"]


@pytest.mark.parametrize(
    ("who", "path", "body", "member"),
    [
        ("taxation", "/v1/demands", {"resource": "102001/0001"}, "freshness_seconds"),
        ("market-regulation", "/v1/demands/d-1/extend", {"reason": "x"}, "days"),
        ("market-regulation", "/v1/demands/d-1/consent", {}, "freshness_seconds"),
        ("market-regulation", "/v1/grants/g-1/amend", {"reason": "x"}, "overlap_seconds"),
        ("operator", "/v1/quarantine/redrive", {"department": "market-regulation"}, "limit"),
        ("operator", "/v1/tokens", {"role": "auditor"}, "days"),
    ],
)
@pytest.mark.parametrize("value", [True, "5", 5.0, "5.0", [5]])
def test_nothing_but_a_whole_number_is_a_number(
    harness: WebHarness, who: str, path: str, body: dict[str, Any], member: str, value: Any
) -> None:
    document = refused(harness.post(who, path, {**body, member: value}), 422, "E_REQUEST")
    assert member in document["detail"]


@pytest.mark.parametrize("value", [0, 1, "false", "no", "0", "off", None])
@pytest.mark.parametrize(
    ("who", "path", "body", "member"),
    [
        ("operator", "/v1/quarantine/discard", {"department": "market-regulation", "reason": "x"}, "dry_run"),
        ("supervisor", "/v1/demands/d-1/review", {}, "passed"),
    ],
)
def test_nothing_but_a_truth_value_is_one(
    harness: WebHarness, who: str, path: str, body: dict[str, Any], member: str, value: Any
) -> None:
    document = refused(harness.post(who, path, {**body, member: value}), 422, "E_REQUEST")
    assert member in document["detail"]


@pytest.mark.parametrize("value", ["true", "2026.5", "9999", "1999", "", "0x7ea", "-1"])
def test_a_year_is_one_of_ours(harness: WebHarness, value: str) -> None:
    refused(harness.get("operator", "/v1/satisfaction", year=value), 422, "E_REQUEST")
    refused(harness.get("operator", "/v1/report", year=value), 422, "E_REQUEST")

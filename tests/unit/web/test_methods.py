"""HEAD answers wherever GET does, and `Allow` lists every method that a path supports."""

from collections.abc import Iterator

import pytest

from tests.harness.memory.console import browser
from tests.harness.memory.web import WebHarness, web_harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("methods"), requests_per_second=100_000, request_burst=10_000) as harness:
        yield harness


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "OPTIONS", "DELETE"])
def test_allow_lists_every_method_of_a_path_and_no_other(harness: WebHarness, method: str) -> None:
    for path, item in harness.http.get("/openapi.json").json()["paths"].items():
        documented = {name.upper() for name in item}
        if method in documented:
            continue
        place = path.replace("{department}/{partition}/{offset}", "courts/0/0").replace("{", "").replace("}", "")
        answer = harness.http.request(method, place, headers=harness.as_("operator"))
        assert answer.status_code == 405, path
        found = set(answer.headers["allow"].split(", "))
        assert documented <= found, path
        assert ("HEAD" in found) is ("GET" in found), path


def test_allow_names_what_is_there_and_nothing_else(harness: WebHarness) -> None:
    answers = {path: harness.http.request("PATCH", path) for path in ("/v1/demands", "/healthz", "/v1/tokens/x")}
    assert answers["/v1/demands"].headers["allow"] == "GET, HEAD, POST"
    assert answers["/healthz"].headers["allow"] == "GET, HEAD"
    assert all(answer.json()["code"] == "E_METHOD" for answer in answers.values() if answer.status_code == 405)


@pytest.mark.parametrize(
    "path", ["/healthz", "/metrics", "/subjects", "/console", "/openapi.json", "/v1/demands", "/x"]
)
def test_head_is_get_without_its_body(harness: WebHarness, path: str) -> None:
    got = harness.http.get(path, headers=harness.as_("operator"))
    head = harness.http.head(path, headers=harness.as_("operator"))
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "location"):
        assert head.headers.get(name) == got.headers.get(name)
    if path != "/metrics":
        assert head.headers.get("content-length") == got.headers.get("content-length")


def test_head_of_what_only_takes_commands_is_refused(harness: WebHarness) -> None:
    answer = harness.http.head("/v1/quarantine/redrive", headers=harness.as_("operator"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_pages_of_the_console_do_the_same(harness: WebHarness) -> None:
    with browser(harness, "operator") as person:
        assert person.http.head("/console/demands").status_code == 200
        answer = person.http.request("PATCH", "/console/demands")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")

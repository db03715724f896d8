"""On the port of the API metrics are shown to this machine alone."""

from collections.abc import Iterator

import pytest

from tests.harness.memory.web import WebHarness, refused, web_harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("metrics")) as harness:
        yield harness


def test_who_asks_from_this_machine_is_shown_them(harness: WebHarness) -> None:
    answer = harness.http.get("/metrics")
    assert answer.status_code == 200
    assert "exchange_shared_demands_counted" in answer.text


@pytest.mark.parametrize(
    "header",
    [{"X-Forwarded-For": "10.0.0.1"}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=10.0.0.1"},
     {"Via": "1.1 proxy"}, {"X-Real-IP": "10.0.0.1"}],
)  # fmt: skip
def test_who_comes_through_a_proxy_is_not(harness: WebHarness, header: dict[str, str]) -> None:
    refused(harness.http.get("/metrics", headers=header), 404, "E_NOT_FOUND")
    assert harness.http.get("/healthz", headers=header).status_code == 200

from pathlib import Path

import pytest

from exchange.settings import HttpSettings
from exchange.web.limits import RateLimit
from exchange.web.problems import RateLimitError
from tests.harness.memory.web import refused as problem
from tests.harness.memory.web import web_harness

TAX, MARKET = "taxation", "market-regulation"


def test_a_caller_over_its_rate_waits_and_others_do_not(tmp_path: Path) -> None:
    with web_harness(tmp_path, requests_per_second=1, request_burst=5) as harness:
        harness.as_(TAX), harness.as_(MARKET)
        answers = [harness.get(TAX, "/v1/ledger/head") for _ in range(6)]
        assert [one.status_code for one in answers] == [200] * 5 + [429]
        problem(answers[-1], 429, "E_RATE_LIMIT")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 5
        assert harness.get(MARKET, "/v1/ledger/head").status_code == 200
        registry = harness.get(TAX, "/subjects")
        assert (registry.status_code, registry.json()["error_code"]) == (429, 42901)
        assert harness.http.get("/metrics").status_code == 200


def test_bad_tokens_of_an_address_are_counted_and_good_ones_stay_good(tmp_path: Path) -> None:
    with web_harness(tmp_path, bad_tokens_per_minute=3) as harness:
        bad = {"Authorization": "Bearer nonsense-nonsense"}
        answers = [harness.http.get("/v1/ledger/head", headers=bad) for _ in range(4)]
        assert [one.status_code for one in answers] == [401] * 3 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert harness.http.get("/v1/ledger/head").status_code == 401
        assert harness.get(TAX, "/v1/ledger/head").status_code == 200


@pytest.mark.parametrize(("per_second", "burst"), [(200, 1000), (1, 1), (100, 50), (7, 10)])
def test_the_burst_and_the_rate_are_those_of_the_settings(per_second: int, burst: int) -> None:
    limit = RateLimit(HttpSettings(requests_per_second=per_second, request_burst=burst))
    for _ in range(burst):
        limit.request("t-1")
    with pytest.raises(RateLimitError) as refused:
        limit.request("t-1")
    assert 1 <= refused.value.seconds <= burst / per_second + 1
    limit.request("t-2")

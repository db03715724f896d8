from pathlib import Path

import pytest

from exchange.settings import HttpSettings
from exchange.testing.web_ground import refused as problem
from exchange.testing.web_ground import web_ground
from exchange.web.limits import RateLimit
from exchange.web.problems import RateLimitError

TAX, MARKET = "taxation", "market-regulation"


def test_a_caller_over_its_rate_waits_and_others_do_not(tmp_path: Path) -> None:
    with web_ground(tmp_path, requests_per_second=1, request_burst=5) as ground:
        ground.as_(TAX), ground.as_(MARKET)
        answers = [ground.get(TAX, "/v1/ledger/head") for _ in range(6)]
        assert [one.status_code for one in answers] == [200] * 5 + [429]
        problem(answers[-1], 429, "E_RATE_LIMIT")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 5
        assert ground.get(MARKET, "/v1/ledger/head").status_code == 200
        registry = ground.get(TAX, "/subjects")
        assert (registry.status_code, registry.json()["error_code"]) == (429, 42901)
        assert ground.http.get("/metrics").status_code == 200


def test_bad_tokens_of_an_address_are_counted_and_good_ones_stay_good(tmp_path: Path) -> None:
    with web_ground(tmp_path, bad_tokens_per_minute=3) as ground:
        bad = {"Authorization": "Bearer nonsense-nonsense"}
        answers = [ground.http.get("/v1/ledger/head", headers=bad) for _ in range(4)]
        assert [one.status_code for one in answers] == [401] * 3 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert ground.http.get("/v1/ledger/head").status_code == 401
        assert ground.get(TAX, "/v1/ledger/head").status_code == 200


@pytest.mark.parametrize(("per_second", "burst"), [(200, 1000), (1, 1), (100, 50), (7, 10)])
def test_the_burst_and_the_rate_are_those_of_the_settings(per_second: int, burst: int) -> None:
    time = [1_000_000.1]
    limit = RateLimit(HttpSettings(requests_per_second=per_second, request_burst=burst), lambda: time[0])
    for _ in range(burst):
        limit.request("t-1")
    with pytest.raises(RateLimitError) as refused:
        limit.request("t-1")
    assert refused.value.seconds == 1
    limit.request("t-2")
    time[0] += 3
    for _ in range(min(burst, 3 * per_second)):
        limit.request("t-1")
    with pytest.raises(RateLimitError):
        limit.request("t-1")


def test_whoever_has_its_whole_share_again_is_forgotten() -> None:
    time = [5.0]
    limit = RateLimit(HttpSettings(bad_tokens_per_minute=1), lambda: time[0])
    limit.bad_token("patient")
    time[0] += 30
    for number in range(5000):
        limit.bad_token(f"address-{number}")
    with pytest.raises(RateLimitError) as refused:
        limit.bad_token("patient")
    assert refused.value.seconds == 30
    before = _size(limit)
    time[0] += 90
    for number in range(5000):
        limit.bad_token(f"another-{number}")
    assert _size(limit) <= before
    with pytest.raises(RateLimitError):
        limit.bad_token("another-0")


def _size(limit: RateLimit) -> int:
    return len(limit._bad_tokens._whole)

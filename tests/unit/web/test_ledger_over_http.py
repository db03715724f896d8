"""What the ledger's bounds and its reading look like over HTTP."""

from pathlib import Path

import pytest

from exchange.ledger.fold import apply as applying
from exchange.ledger.store.follower import Progress
from exchange.ledger.verify import verify
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.web import refused as problem
from tests.harness.memory.web import web_harness

TAX = "taxation"
DEMAND = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "law",
    "scenario": "scenario",
    "use_scope": "scope",
    "mode": "batch-exchange",
}


def test_a_department_over_its_bound_is_told_when_it_may_write_again(tmp_path: Path) -> None:
    with web_harness(tmp_path) as harness:
        harness.as_(TAX)
        harness.service.ledger._decisions._events_per_day = 1
        assert harness.post(TAX, "/v1/demands", DEMAND, key="first").is_success

        refused = harness.post(TAX, "/v1/demands", DEMAND | {"resource": "101001/0001", "fields": ["birth_date"]})

        problem(refused, 429, "E_LEDGER_QUOTA")
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert harness.post(TAX, "/v1/demands", DEMAND, key="first").is_success, "a repetition writes nothing"
        assert harness.get(TAX, "/v1/demands").status_code == 200


@pytest.mark.parametrize("error", [KeyError, OverflowError, MemoryError])
def test_a_command_whose_fold_fails_is_a_fault_of_ours_and_the_next_one_is_answered(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    with web_harness(tmp_path) as harness:
        harness.as_(TAX)
        with monkeypatch.context() as broken:
            broken.setitem(applying._HANDLERS, "demand-submitted", fails)
            assert harness.post(TAX, "/v1/demands", DEMAND).status_code == 500

        assert harness.post(TAX, "/v1/demands", DEMAND).is_success
        assert verify(harness.service.ledger.events).seq == harness.service.ledger.state.seq


def test_readyz_says_how_far_the_ledger_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_harness(tmp_path) as harness:
        harness.service.ready = False
        monkeypatch.setattr(MemoryLedger, "progress", Progress(1_200, 1_500, 4_000_000))

        answer = harness.http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["ledger"] == {"events": 1_200, "offset": 1_500, "end": 4_000_000}

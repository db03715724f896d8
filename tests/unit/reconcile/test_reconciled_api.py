"""Digests over HTTP for the two parties of a grant, and the last results beside the evidence."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exchange.broker.evidence.reconciliations import Reconciliations
from exchange.broker.evidence.said import Listener
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.clock import Deadline, parse_time
from exchange.names import Department, GrantId, ShareName
from exchange.observe import metrics
from exchange.reconcile import result as results
from exchange.reconcile.fold import Entry, Fold, key_hash
from exchange.reconcile.result import Half, Result
from tests.harness.memory.web import WebHarness, refused, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "a law",
    "scenario": "a duty",
    "use_scope": "the province",
    "mode": "batch-exchange",
}
AT = parse_time("2026-11-24T08:00:00Z")


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        yield harness


@pytest.fixture
def grant(harness: WebHarness) -> str:
    """An active grant whose share holds one record."""
    demand = harness.post(TAX, "/v1/demands", DEMAND).raise_for_status().json()["demand"]
    found: str = harness.post(MARKET, f"/v1/demands/{demand}/consent").raise_for_status().json()["grants"][-1]
    return found


@pytest.fixture
def share(harness: WebHarness, grant: str) -> ShareName:
    service = harness.service
    for command in (PlaceGrant(grant, service.schemas), ActivateGrant(grant)):
        service.ledger.execute(command)
    found = service.ledger.state.grants[GrantId(grant)].share
    assert found is not None
    return found


@pytest.fixture
def fold(harness: WebHarness, share: ShareName) -> Iterator[Fold]:
    with closing(Fold()) as fold:
        fold.put([Entry(key_hash(b"the key"), key_hash(b"content"), b"the key", 0, 0)])
        harness.service.folds[share] = fold
        yield fold


@pytest.mark.parametrize("party", [TAX, MARKET])
def test_the_parties_of_a_grant_get_the_digests(harness: WebHarness, grant: str, fold: Fold, party: str) -> None:
    answer = harness.get(party, f"/v1/grants/{grant}/digests").raise_for_status().json()
    assert answer["state"] == "ready"
    assert answer["entries"] == {key_hash(b"the key").hex(): key_hash(b"content").hex()}
    whole = harness.get(party, f"/v1/grants/{grant}/digests", prefix=key_hash(b"the key").hex(), version=1).json()
    assert whole["key"] == "the key"


def test_nobody_else_gets_them(harness: WebHarness, grant: str, fold: Fold) -> None:
    path = f"/v1/grants/{grant}/digests"
    refused(harness.get(STRANGER, path), 404, "E_UNKNOWN_GRANT")
    for overseer in ("operator", "supervisor", "auditor"):
        refused(harness.get(overseer, path), 403, "E_ROLE")
    assert harness.http.get(path).status_code == 401


def test_while_the_share_is_read_the_answer_says_so(harness: WebHarness, grant: str, share: ShareName) -> None:
    answer = harness.get(MARKET, f"/v1/grants/{grant}/digests")
    assert (answer.status_code, answer.json()) == (200, {"state": "reading"})


def test_a_grant_that_is_not_active_has_no_digests(harness: WebHarness, grant: str) -> None:
    refused(harness.get(MARKET, f"/v1/grants/{grant}/digests"), 409, "E_GRANT_STATE")


@pytest.mark.parametrize("prefix", ["g", "0", "00" * 33, "AB", "../x"])
def test_a_prefix_is_whole_bytes(harness: WebHarness, grant: str, fold: Fold, prefix: str) -> None:
    refused(harness.get(MARKET, f"/v1/grants/{grant}/digests", prefix=prefix), 422, "E_REQUEST")


def test_the_last_results_stand_in_the_grant(harness: WebHarness, grant: str, share: ShareName) -> None:
    shown = harness.get(TAX, f"/v1/grants/{grant}").json()["reconciled"]
    assert shown == {"grantee": None, "provider": None}
    found = results.view(Result(Half.GRANTEE, AT, 3, 1, altered=1, missing=1))
    harness.service.results[GrantId(grant)] = {"grantee": found, "provider": None}
    shown = harness.get(MARKET, f"/v1/grants/{grant}").json()["reconciled"]["grantee"]
    assert (shown["altered"], shown["missing"], shown["holds"], shown["at"]) == (
        1,
        1,
        False,
        "2026-11-24T08:00:00.000Z",
    )


# what the broker service believes of what departments write


class Written:
    """A record in a topic of a department."""

    def __init__(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self._topic, self._key, self._value = topic, key, value

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value


class Tail:
    """Gives what stands in the topics, once."""

    def __init__(self, records: list[Written]) -> None:
        self._records = records
        self.at_end = False

    def poll(self, seconds: float) -> list[Written]:
        self.at_end = True
        found, self._records = self._records, []
        return found

    def close(self) -> None: ...


def followed(*records: Written) -> Reconciliations:
    def follow(places: list[tuple[str, int]]) -> Tail:
        return Tail([record for record in records if (record.topic(), 0) in places])

    listener = Listener(follow)  # type: ignore[arg-type]
    listener.listen([record.topic() for record in records], (), (), AT, Deadline.after(5.0))
    listener.reconciliations.publish({G: P})
    return listener.reconciliations


G, P = GrantId("g-1"), Department(MARKET)


def test_the_words_of_both_halves_are_shown_and_measured() -> None:
    of_provider = results.encode(G, Result(Half.PROVIDER, AT, 3, 2, missing=1))
    of_grantee = results.encode(G, Result(Half.GRANTEE, AT, 3, 3))
    seen = followed(Written(f"report.{MARKET}", *of_provider), Written(f"receipt.{G}", *of_grantee))
    shown = seen.of(G)
    assert (shown["grantee"]["holds"], shown["provider"]["holds"]) == (True, False)
    assert metrics.RECONCILED_DIFFERENCES.read() == {(G, "grantee"): 0.0, (G, "provider"): 1.0}
    assert metrics.RECONCILED_AT.read()[G, "grantee"] == AT.timestamp()
    seen.publish({})
    assert metrics.RECONCILED_DIFFERENCES.read() == {}


def test_only_the_provider_of_a_grant_speaks_for_its_provider() -> None:
    key, value = results.encode(G, Result(Half.PROVIDER, AT, 3, 3))
    assert followed(Written(f"report.{STRANGER}", key, value)).of(G)["provider"] is None


def test_what_is_no_result_is_passed_over() -> None:
    key, good = results.encode(G, Result(Half.PROVIDER, AT, 3, 3))
    hostile = (None, b"", b"[]", b"\xff", good.replace(b"3", b"-3"), good.replace(b"3", b"true"), b"[" * 5000)
    for value in (*hostile, results.encode(G, Result(Half.GRANTEE, AT))[1], good.replace(b"08:00", b"nine")):
        assert followed(Written(f"report.{MARKET}", key, value)).of(G)["provider"] is None
    assert followed(Written(f"report.{MARKET}", b"health.deaths", good)).of(G)["provider"] is None
    assert followed(Written(f"report.{MARKET}", None, good)).of(G)["provider"] is None


def test_a_receipt_is_no_result_and_a_result_under_another_key_is_none() -> None:
    value = results.encode(G, Result(Half.GRANTEE, AT, 3, 3))[1]
    assert followed(Written(f"receipt.{G}", b"0", value)).of(G)["grantee"] is None
    assert followed(Written(f"receipt.{G}", results.RESULT_KEY, b'{"partition": 0}')).of(G)["grantee"] is None


def test_one_department_fills_no_memory() -> None:
    made = [
        Written(f"report.{MARKET}", *results.encode(GrantId(f"g-{number}"), Result(Half.PROVIDER, AT)))
        for number in range(10_050)
    ]
    seen = followed(*made)
    seen.publish({GrantId("g-9999"): P, GrantId("g-10001"): P})
    assert seen.of(GrantId("g-9999"))["provider"] is not None
    assert seen.of(GrantId("g-10001"))["provider"] is None


def test_what_is_told_holds_no_key() -> None:
    listed = [results.Difference(results.Kind.ALTERED, "the key")] * (results.MOST_LISTED + 5)
    result, named = results.counted(Half.GRANTEE, AT, 5000, listed)
    assert (result.altered, len(named), result.equal) == (results.MOST_LISTED + 5, results.MOST_LISTED, 3995)
    assert b"the key" not in results.encode(G, result)[1]
    assert "the key" not in repr(named[0])

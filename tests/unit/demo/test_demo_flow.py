"""When the demo takes everything for arrived: told by the books of the broker service."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from exchange.demo.flow import Counts, look
from exchange.demo.places import Places
from exchange.demo.progress import complete
from exchange.settings import ApiSettings
from exchange.web.client import ApiClient

DEATHS, SHARE = "population.death", "population.death.9"
SOURCES = {"health.deaths": DEATHS}
FILLING = {"sent": 2, "remaining": 3, "percent": 40.0}
ADMISSION = {"taken": 5, "admitted": 4, "unchanged": 0, "superseded": 0, "quarantined": 1, "in_flight": 0}
DELIVERY = {"taken": 4, "forwarded": 4, "out_of_scope": 0, "retracted": 0, "in_flight": 0}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places.choose(tmp_path / "demo")
    books = {"collected": 5, "unmapped": 0, "submitted": 5}
    with sqlite3.connect(places.connectors / "health.deaths.sqlite") as memory:
        memory.execute("CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        memory.execute("INSERT INTO state VALUES ('books', ?)", (json.dumps(books),))
        memory.execute("INSERT INTO state VALUES ('comparison', ?)", (json.dumps({"at": "2026-11-24T08:00:00Z"}),))
    memory.close()
    return places


def counted(places: Places, *accounts: dict[str, Any]) -> Counts:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": accounts, "next": None}))
    with ApiClient(ApiSettings(token=SecretStr("t")), transport) as operator:
        return look(operator, places, SOURCES)


def admission(**entries: int) -> dict[str, Any]:
    codes = {"E_CODE_UNKNOWN": 1}
    return {"record_type": DEATHS, "share": None, "entries": ADMISSION | entries, "difference": 0} | {
        "quarantined_by_code": codes
    }


def share(handed_over: int = 4, backfilling: dict[str, Any] | None = None) -> dict[str, Any]:
    account = {"record_type": DEATHS, "share": SHARE, "entries": DELIVERY, "difference": 0}
    return {**account, "handed_over": handed_over, "backfilling": backfilling}


def test_all_is_still_when_everything_was_taken_cut_and_handed_over(places: Places) -> None:
    counts = counted(places, admission(), share())
    assert counts.still
    assert counts.total["submitted"] == counts.total["admitted"] + counts.total["quarantined"] == 5


def test_a_share_that_is_still_being_filled_is_not_still(places: Places) -> None:
    counts = counted(places, admission(), share(backfilling=FILLING))
    assert counts.total["in_flight"] == 0
    assert not counts.still
    assert counts.since(Counts()).backfilling == {SHARE}


@pytest.mark.parametrize(
    "accounts", [(admission(taken=4), share()), (admission(in_flight=1), share()), (admission(), share(handed_over=3))]
)
def test_what_is_under_way_anywhere_is_not_still(places: Places, accounts: tuple[dict[str, Any], ...]) -> None:
    assert not counted(places, *accounts).still


def test_what_a_source_that_lost_its_state_submits_again_is_waited_for(places: Places) -> None:
    (places.connectors / "health.deaths.sqlite").rename(places.root / "lost.sqlite")
    before = counted(places, admission(), share())
    (places.root / "lost.sqlite").rename(places.connectors / "health.deaths.sqlite")
    again = counted(places, admission(), share())
    assert again.still and not complete(again, SOURCES, before)
    assert complete(counted(places, admission(taken=10, unchanged=5), share()), SOURCES, before)


def test_a_source_that_has_not_compared_itself_in_this_run_is_waited_for(places: Places) -> None:
    before = counted(places, admission(), share())
    assert not complete(before, SOURCES, before)
    with sqlite3.connect(places.connectors / "health.deaths.sqlite") as memory:
        memory.execute("UPDATE state SET value = ? WHERE name = 'comparison'", ('{"at": "2026-11-25T08:00:00Z"}',))
    memory.close()
    assert complete(counted(places, admission(), share()), SOURCES, before)

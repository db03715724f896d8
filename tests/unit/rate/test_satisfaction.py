import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.broker.rate.satisfaction import BY, NOBODY, Rate, rate, rates, state_at
from exchange.broker.rate.time_weighted import time_weighted
from exchange.cli.ledger import app
from exchange.clock import format_time
from exchange.ledger import fold
from exchange.ledger.events.event import LedgerEvent, write_line
from exchange.ledger.verify import verify
from tests.harness.memory.ledger import START, chain

LATER = START + timedelta(hours=1)


def submitted(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    data = {
        "demand": name,
        "request": "r-1",
        "demander": "taxation",
        "provider": "market-regulation",
        "registry": "legal-entity",
        "record_type": "legal-entity.registration",
        "fields": ["a", "b", "c", "d"],
        "complete": True,
        "use_from": None,
        "use_until": None,
    }
    return "demand-submitted", data | more


def consented(demand: str, grant: str, fields: str = "abcd", **more: Any) -> tuple[str, dict[str, Any]]:
    data = {"demand": demand, "grant": grant, "fields": list(fields), "masked": [], "scope_narrowed": False}
    return "demand-consented", data | {"freshness_seconds": 60} | more


def served(demand: str, grant: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("grant-activated", {"grant": grant, "demand": demand, "share": "s"}),
        ("first-delivered", {"grant": grant, "empty": False}),
    ]


def of(*steps: Any) -> tuple[float | None, float | None]:
    found = rate(fold(chain(steps)), LATER)
    return found.strict, found.weighted


SERVED = [submitted("d"), consented("d", "g"), *served("d", "g")]


def test_rate_of_nothing_does_not_exist() -> None:
    assert of() == (None, None)
    assert of(submitted("d", complete=False)) == (None, None)
    assert Rate().as_json()["strict"] is None


def test_demand_counts_before_anybody_replied() -> None:
    assert of(submitted("d")) == (0.0, 0.0)


def test_consent_on_paper_satisfies_nobody() -> None:
    for length in (1, 2, 3):
        assert of(*SERVED[:length]) == (0.0, 0.0)
    assert of(*SERVED) == (1.0, 1.0)


def test_empty_first_delivery_satisfies() -> None:
    assert of(*SERVED[:3], ("first-delivered", {"grant": "g", "empty": True})) == (1.0, 1.0)


def test_a_share_that_was_empty_at_first_counts_as_empty_only_until_it_held_something() -> None:
    empty = [*SERVED[:3], ("first-delivered", {"grant": "g", "empty": True})]
    filled = ("share-filled", {"grant": "g"})
    figures = [rate(fold(chain(steps)), LATER).as_json() for steps in (SERVED, empty, [*empty, filled])]
    assert [one["satisfied_by_empty_share"] for one in figures] == [0, 1, 0]
    assert {one["strict"] for one in figures} == {1.0}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("grant-suspended", {"grant": "g"}),
        ("grant-ended", {"grant": "g", "reason": "revoked"}),
        ("freshness-broken", {"grant": "g", "cause": "exchange", "since": "2026-11-24T08:00:00.000Z"}),
    ],
)
def test_grant_that_does_not_serve_satisfies_nobody(name: str, data: dict[str, Any]) -> None:
    assert of(*SERVED, (name, data)) == (0.0, 0.0)


def test_breach_lasts_until_its_last_cause_is_gone() -> None:
    def broken(cause: str) -> tuple[str, dict[str, Any]]:
        return "freshness-broken", {"grant": "g", "cause": cause, "since": "2026-11-24T08:00:00.000Z"}

    def restored(cause: str) -> tuple[str, dict[str, Any]]:
        return "freshness-restored", {"grant": "g", "cause": cause}

    both = [*SERVED, broken("grantee"), broken("provider")]
    assert of(*both, restored("grantee")) == (0.0, 0.0)
    assert of(*both, restored("grantee"), restored("provider")) == (1.0, 1.0)
    assert of(*SERVED, ("grant-suspended", {"grant": "g"}), ("grant-resumed", {"grant": "g"})) == (1.0, 1.0)


def test_part_of_the_fields_weighs_its_part_and_is_not_strict() -> None:
    assert of(submitted("d"), consented("d", "g", "abc"), *served("d", "g")) == (0.0, 0.75)


def test_field_masked_more_than_asked_is_not_granted_as_asked() -> None:
    assert of(submitted("d"), consented("d", "g", "abc", masked=["d"]), *served("d", "g")) == (0.0, 0.75)
    assert of(submitted("d"), consented("d", "g", "", masked=list("abcd")), *served("d", "g")) == (0.0, 0.0)


def test_narrower_scope_is_never_strict() -> None:
    assert of(submitted("d"), consented("d", "g", scope_narrowed=True), *served("d", "g")) == (0.0, 1.0)


def test_best_qualifying_grant_decides() -> None:
    both = [submitted("d"), consented("d", "g", "abcd"), consented("d", "h", "a"), *served("d", "h")]

    assert of(*both) == (0.0, 0.25), "the better grant is not served"
    assert of(*both, *served("d", "g")) == (1.0, 1.0)
    assert of(*both, *served("d", "g"), ("grant-ended", {"grant": "g", "reason": "revoked"})) == (0.0, 0.25)


def test_refused_and_unmatched_demands_stay_in_the_denominator() -> None:
    refused = [submitted("e"), ("demand-refused", {"demand": "e"})]
    unmatched = [submitted("f", provider=None)]

    assert of(*SERVED, *refused, *unmatched) == (1 / 3, 1 / 3)


def test_withdrawn_demand_leaves_numerator_and_denominator() -> None:
    withdrawn = ("demand-withdrawn", {"demand": "d"})

    assert of(*SERVED, submitted("e"), withdrawn) == (0.0, 0.0)
    assert of(*SERVED, withdrawn) == (None, None)


def test_supplement_makes_a_demand_count_and_a_later_request_does_not_stop_it() -> None:
    incomplete = submitted("d", complete=False)
    supplemented = ("demand-supplemented", {"demand": "d", "complete": True})

    assert of(incomplete, ("demand-supplemented", {"demand": "d", "complete": False})) == (None, None)
    assert of(incomplete, supplemented) == (0.0, 0.0)
    assert of(submitted("d"), ("supplement-requested", {"demand": "d"})) == (0.0, 0.0)


def test_use_period_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    period = {"use_from": "2026-11-24T09:00:00.000Z", "use_until": "2026-11-24T10:00:00.000Z"}
    state = fold(chain([submitted("d", **period)]))
    begin, end = (datetime(2026, 11, 24, hour, tzinfo=UTC) for hour in (9, 10))
    tick = timedelta(milliseconds=1)

    assert [rate(state, at).counted for at in (begin - tick, begin, end - tick, end)] == [0, 1, 1, 0]


def test_matched_demand_belongs_to_its_provider() -> None:
    unmatched = submitted("d", provider=None, registry="credit")
    matched = ("demand-matched", {"demand": "d", "resource": "r", "provider": "courts"})

    assert rates(fold(chain([unmatched])), LATER, BY["provider"]).keys() == {NOBODY}
    assert rates(fold(chain([unmatched, matched])), LATER, BY["provider"]).keys() == {"courts"}
    assert rates(fold(chain([unmatched])), LATER, BY["registry"]).keys() == {"credit"}
    assert rates(fold(chain([unmatched])), LATER, BY["demander"]).keys() == {"taxation"}


def moments(*steps: tuple[tuple[str, dict[str, Any]], int]) -> list[LedgerEvent]:
    return chain([(name, data, START + timedelta(minutes=minute)) for (name, data), minute in steps])


def test_rate_of_the_past_knows_nothing_of_later() -> None:
    events = moments((SERVED[0], 0), (SERVED[1], 1), (SERVED[2], 2), (SERVED[3], 30))

    def at(minute: float) -> float | None:
        moment = START + timedelta(minutes=minute)
        return rate(state_at(events, moment), moment).strict

    assert [at(-1), at(0), at(29.9), at(30)] == [None, 0.0, 0.0, 1.0]


def test_time_weighted_rate_is_time_satisfied_by_time_counted() -> None:
    broken = ("freshness-broken", {"grant": "g", "cause": "grantee", "since": None})
    events = moments(
        (SERVED[0], 0), (SERVED[1], 5), (SERVED[2], 10), (SERVED[3], 15), (broken, 45), (submitted("e"), 50)
    )

    def between(start: int, end: int) -> float | None:
        return time_weighted(events, START + timedelta(minutes=start), START + timedelta(minutes=end))

    assert between(0, 60) == pytest.approx(30 / 70)
    assert between(15, 45) == 1.0
    assert between(20, 50) == pytest.approx(25 / 30)
    assert between(50, 60) == 0.0
    assert between(-20, -10) is None


def broken_since(minute: int, grant: str = "g", cause: str = "exchange") -> tuple[str, dict[str, Any]]:
    return "freshness-broken", {
        "grant": grant, "cause": cause, "since": format_time(START + timedelta(minutes=minute)),
    }  # fmt: skip


def hour(events: list[LedgerEvent]) -> float | None:
    """The rate of the first hour."""
    return time_weighted(events, START, START + timedelta(hours=1))


def serving(*later: tuple[tuple[str, dict[str, Any]], int]) -> list[LedgerEvent]:
    """A demand that is served from the start, and what comes later."""
    return moments((SERVED[0], 0), (SERVED[1], 0), (SERVED[2], 0), (SERVED[3], 0), *later)


def test_a_breach_that_is_told_late_counts_from_when_it_began() -> None:
    restored = ("freshness-restored", {"grant": "g", "cause": "exchange"})
    assert hour(serving()) == 1.0
    assert hour(serving((broken_since(15), 45))) == pytest.approx(15 / 60)
    assert hour(serving((broken_since(15), 45), (restored, 50))) == pytest.approx(25 / 60)
    assert hour(serving((broken_since(15), 45), (restored, 46), (broken_since(10, cause="grantee"), 50))) == (
        pytest.approx(10 / 60)
    )


def test_a_breach_that_is_told_after_the_period_counts_in_it() -> None:
    assert hour(serving((broken_since(45), 90))) == pytest.approx(45 / 60)
    assert hour(serving((broken_since(70), 90))) == 1.0


def test_a_breach_that_is_told_late_never_counts_from_before_the_first_delivery() -> None:
    events = moments((SERVED[0], 0), (SERVED[1], 0), (SERVED[2], 0), (SERVED[3], 30), (broken_since(10), 45))
    assert hour(events) == 0.0
    assert time_weighted(events, START, START + timedelta(minutes=30)) == 0.0


def test_a_demand_that_another_grant_serves_loses_nothing_to_a_breach_that_is_told_late() -> None:
    other = [(name, {**data, "grant": "h"}) for name, data in SERVED[1:4]]
    steps = [*((step, 20) for step in other), (broken_since(10), 45)]
    assert hour(serving(*steps)) == pytest.approx(50 / 60)
    assert hour(serving(*steps, (broken_since(30, "h"), 50))) == pytest.approx(20 / 60)


# the command


def export(tmp_path: Path, events: list[LedgerEvent]) -> str:
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(write_line(event) for event in events), encoding="utf-8")
    return str(path)


def test_command_recomputes_the_rate_from_the_export_alone(tmp_path: Path) -> None:
    path = export(tmp_path, moments((SERVED[0], 0), (SERVED[1], 1), (SERVED[2], 2), (SERVED[3], 3)))

    now = CliRunner().invoke(app, ["rate", "--from", path, "--json"])
    before = CliRunner().invoke(app, ["rate", "--from", path, "--json", "--at", "2026-11-24T08:02:30Z"])

    assert json.loads(now.stdout)["strict"] == 1.0
    assert json.loads(before.stdout)["strict"] == 0.0
    assert json.loads(now.stdout)["by"]["registry"]["legal-entity"]["counted"] == 1
    assert CliRunner().invoke(app, ["rate", "--from", path]).exit_code == 0


def test_command_verifies_an_export_against_a_published_head(tmp_path: Path) -> None:
    events = chain(SERVED)
    path = export(tmp_path, events)

    good = CliRunner().invoke(app, ["verify", "--from", path, "--head", str(verify(events)), "--json"])
    cut = CliRunner().invoke(app, ["verify", "--from", export(tmp_path, events[:3]), "--head", str(verify(events))])

    assert good.exit_code == 0
    assert json.loads(good.stdout)["head"] == str(verify(events))
    assert cut.exit_code != 0

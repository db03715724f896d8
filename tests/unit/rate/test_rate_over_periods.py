"""The rate and its companions over periods: each duty judged once, periods that add up, and how they are asked for."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from exchange.broker.rate.companions import Companions, Duty
from exchange.broker.rate.figures import PeriodFigures, read_figures
from exchange.broker.rate.periods import Period, months, year
from exchange.broker.rate.satisfaction import Group
from exchange.cli.main import app as command
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, write_line
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from exchange.web.past import Replays
from tests.harness.memory.ledger import chain
from tests.harness.memory.service import MemoryService, serving

TOKEN = "operator-token-of-this-test"
BEGIN = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""A Monday."""
DEMAND: dict[str, Any] = {
    "demand": "d",
    "request": "r",
    "demander": "taxation",
    "provider": "courts",
    "registry": "credit",
    "record_type": "credit.penalty",
    "fields": ["a", "b"],
    "complete": True,
    "use_from": None,
    "use_until": None,
    "reply_days": 10,
}
CONSENT = {"demand": "d", "fields": ["a", "b"], "masked": [], "scope_narrowed": False, "freshness_seconds": 60}


def ledger(*steps: tuple[str, dict[str, Any], float]) -> list[LedgerEvent]:
    """(event, data, days after BEGIN)."""
    return chain([(name, data, BEGIN + timedelta(days=days)) for name, data, days in steps])


def over(events: list[LedgerEvent], begin: float, end: float) -> PeriodFigures:
    return read_figures(
        events, [Period(BEGIN + timedelta(days=begin), BEGIN + timedelta(days=end))], BEGIN + timedelta(days=end)
    )


def on_time(found: PeriodFigures, clock: str) -> tuple[int, int]:
    kept = found.total.companions.clocks[clock]
    return kept.kept, kept.judged


# duties


@pytest.mark.parametrize(
    ("done", "today", "judged", "kept"),
    [
        (date(2026, 3, 10), date(2026, 3, 12), date(2026, 3, 10), True),
        (date(2026, 3, 16), date(2026, 3, 20), date(2026, 3, 16), True),
        (date(2026, 3, 18), date(2026, 3, 20), date(2026, 3, 17), False),
        (None, date(2026, 3, 17), date(2026, 3, 17), False),
        (None, date(2026, 3, 16), None, False),
    ],
)
def test_duty_is_judged_once_when_it_is_kept_or_on_the_day_after_it_was_due(
    done: date | None, today: date, judged: date | None, kept: bool
) -> None:
    duty = Duty("reply", "d", Group("credit", "taxation", "courts"), date(2026, 3, 16), False, done)
    assert (duty.judged(today), duty.kept) == (judged, kept)


def test_late_reply_counts_in_the_period_of_its_due_day_and_in_no_other() -> None:
    events = ledger(("demand-submitted", DEMAND, 0), ("demand-refused", {"demand": "d"}, 40))
    assert on_time(over(events, 0, 14), "reply") == (0, 0), "due on Monday 16 March, the fifteenth day: still in time"
    assert on_time(over(events, 14, 16), "reply") == (0, 1)
    assert on_time(over(events, 0, 60), "reply") == (0, 1)
    assert on_time(over(events, 30, 60), "reply") == (0, 0), "its lateness was counted before"


def test_months_add_up_to_the_year() -> None:
    events = ledger(
        ("demand-submitted", DEMAND, 0),
        ("demand-consented", {**CONSENT, "grant": "g"}, 20),
        ("grant-activated", {"demand": "d", "grant": "g", "share": "s"}, 30),
        ("first-delivered", {"grant": "g", "empty": False}, 70),
        ("demand-withdrawn", {"demand": "d"}, 200),
    )
    found = read_figures(events, months(2026), year(2026).end)
    assert found.period == year(2026)
    assert sum(part.time.counted for part in found.parts) == found.total.time.counted
    assert sum(part.time.satisfied for part in found.parts) == found.total.time.satisfied
    for clock in ("reply", "delivery"):
        parts = [part.companions.clocks[clock] for part in found.parts]
        whole = found.total.companions.clocks[clock]
        assert (
            (sum(one.kept for one in parts), sum(one.judged for one in parts))
            == (whole.kept, whole.judged)
            == (
                int(clock == "delivery"),
                1,
            )
        )
    assert sum(part.companions.withdrawn for part in found.parts) == found.total.companions.withdrawn == 1
    assert found.total.companions.withdrawn_unsatisfied == 0


def test_reply_that_was_overdue_stays_missed_when_the_demand_is_withdrawn() -> None:
    late = ledger(("demand-submitted", DEMAND, 0), ("demand-withdrawn", {"demand": "d"}, 30))
    early = ledger(("demand-submitted", DEMAND, 0), ("demand-withdrawn", {"demand": "d"}, 5))
    assert on_time(over(late, 0, 60), "reply") == (0, 1)
    assert on_time(over(early, 0, 60), "reply") == (0, 0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("grant-ended", {"grant": "g", "reason": "revoked"}),
        ("department-succeeded", {"department": "taxation", "successors": [], "transfers": {}, "ended": {"g": "x"}}),
        ("demand-consented", {**CONSENT, "grant": "h"}),
    ],
)
def test_delivery_that_was_overdue_stays_missed_when_nobody_can_deliver_it_any_more(
    name: str, data: dict[str, Any]
) -> None:
    begun = [("demand-submitted", DEMAND, 0.0), ("demand-consented", {**CONSENT, "grant": "g"}, 1.0)]
    late, early = (over(ledger(*begun, (name, data, days)), 0, 60) for days in (45.0, 5.0))
    again = int(name == "demand-consented")  # the second grant has a deadline of its own
    assert on_time(late, "delivery") == (0, 1)
    assert on_time(early, "delivery") == (0, again)


def test_duties_of_a_demand_that_moved_are_those_of_its_heir() -> None:
    moved = {"department": "taxation", "successors": ["finance"], "transfers": {"d": "finance"}, "ended": {}}
    events = ledger(("demand-submitted", DEMAND, 0), ("department-succeeded", moved, 30))
    found = over(events, 0, 60).by("demander")
    assert found["finance"].companions.clocks["reply"].judged == 1
    assert found["taxation"].companions.clocks["reply"].judged == 0
    assert (found["taxation"].time.counted, found["finance"].time.counted) == (30 * 86_400_000_000,) * 2


def test_refusals_with_and_without_legal_basis() -> None:
    events = ledger(
        ("demand-submitted", DEMAND, 0),
        ("demand-refused", {"demand": "d", "reason": "x", "legal_basis": "a law"}, 1),
        ("demand-submitted", {**DEMAND, "demand": "e"}, 1),
        ("demand-refused", {"demand": "e", "reason": "x", "legal_basis": None}, 2),
        ("demand-submitted", {**DEMAND, "demand": "f"}, 2),
        ("demand-consented", {**CONSENT, "demand": "f", "grant": "g"}, 3),
    )
    found = over(events, 0, 10).total.companions
    assert (found.refusal_rate, found.basis_rate) == (2 / 3, 1 / 2)
    nothing = Companions.over(year(2025), over([], 0, 1).acts, date(2026, 1, 1))
    assert (nothing.refusal_rate, nothing.basis_rate) == (None, None)


def test_correction_is_answered_within_ten_working_days_or_not() -> None:
    doubt = {"grant": "g", "fields": ["a"]}
    events = ledger(
        ("demand-submitted", DEMAND, 0),
        ("demand-consented", {**CONSENT, "grant": "g"}, 1),
        ("correction-submitted", {**doubt, "correction": "c-1"}, 2),
        ("correction-submitted", {**doubt, "correction": "c-2"}, 2),
        ("correction-answered", {"correction": "c-1", "answer": "right-as-it-is"}, 9),
    )
    assert on_time(over(events, 0, 60), "correction") == (1, 2)
    assert on_time(over(events, 0, 10), "correction") == (1, 1)


def test_whoever_asks_for_the_told_moment_again_gets_the_same() -> None:
    events, now = ledger(("demand-submitted", DEMAND, 0)), BEGIN + timedelta(days=3, microseconds=123_456)
    told = read_figures(events, [year(2026)], now).as_json()
    assert told == read_figures(events, [year(2026)], datetime.fromisoformat(told["at"])).as_json()


# periods


def test_year_is_one_of_shanghai() -> None:
    assert year(2026).start == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert year(2026).days == (date(2026, 1, 1), date(2026, 12, 31))
    assert [part.start.month for part in months(2026)] == [*range(1, 13)]
    assert months(2026)[0].start == year(2026).start
    assert months(2026)[-1].end == year(2026).end == year(2027).start


@pytest.mark.parametrize("number", [1999, 3000])
def test_year_out_of_reach_is_refused(number: int) -> None:
    with pytest.raises(ExchangeError, match="a year between"):
        year(number)


def test_period_without_time_is_refused() -> None:
    with pytest.raises(ExchangeError) as error:
        Period(BEGIN, BEGIN)
    assert error.value.code == "E_REQUEST"


# paths and commands


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    file = tmp_path / "operator.token"
    file.write_text(TOKEN)
    app = create_app(MemoryService(), HttpSettings(operator_token_file=file))
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def test_rate_is_asked_for_a_moment_a_year_or_a_period(http: httpx.Client) -> None:
    assert "time_weighted" not in http.get("/v1/satisfaction").json()
    of_year = http.get("/v1/satisfaction", params={"year": 2026, "by": "registry"}).json()
    assert (of_year["from"], of_year["time_weighted"]) == ("2025-12-31T16:00:00.000Z", None)
    assert of_year["by"] == {"registry": {}}
    period = {"from": "2026-03-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"}
    assert http.get("/v1/satisfaction", params=period).json()["on_time"]["reply"]["judged"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {"year": "2026", "from": "2026-03-01T00:00:00Z"},
        {"from": "2026-03-01T00:00:00Z"},
        {"from": "2026-03-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
        {"from": "2026-03-01T00:00:00", "until": "2026-04-01T00:00:00"},
        {"year": "2027"},
        {"year": "1492"},
        {"by": "nobody"},
    ],
)
def test_question_that_makes_no_sense_is_refused(http: httpx.Client, params: dict[str, str]) -> None:
    answer = http.get("/v1/satisfaction", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "E_REQUEST")


def test_questions_about_the_past_wait_for_each_other_outside() -> None:
    replays = Replays(MemoryService())
    with replays.events(), pytest.raises(ExchangeError) as error, replays.events():
        pass
    assert error.value.code == "E_RATE_LIMIT"
    with replays.events() as events:
        assert [*events] == []


def test_command_asks_the_broker_service_for_the_report(
    http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_API__URL", str(http.base_url))
    monkeypatch.setenv("EXCHANGE_API__TOKEN", TOKEN)
    html, sheet = tmp_path / "report.html", tmp_path / "report.csv"
    done = CliRunner().invoke(command, ["report", "--year", "2026", "--html", str(html), "--csv", str(sheet), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["year"] == 2026
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sheet.read_bytes().startswith(b"year,from,until")


def test_command_recomputes_the_rate_over_a_period(tmp_path: Path) -> None:
    export = tmp_path / "ledger.jsonl"
    export.write_text("".join(map(write_line, ledger(("demand-submitted", DEMAND, 0)))), encoding="utf-8")
    asked = ["ledger", "rate", "--from", str(export), "--since", format_time(BEGIN)]
    until = ["--until", format_time(BEGIN + timedelta(days=20))]
    found = json.loads(CliRunner().invoke(command, [*asked, *until, "--json"]).stdout)
    assert (found["counted_seconds"], found["time_weighted"], found["on_time"]["reply"]["judged"]) == (
        1_728_000,
        0.0,
        1,
    )
    assert CliRunner().invoke(command, [*asked, *until]).exit_code == 0
    assert CliRunner().invoke(command, asked).exit_code == 2
    assert CliRunner().invoke(command, [*asked, *until, "--year", "2026"]).exit_code == 2

"""Once a day, at a minute of its own, and whatever goes wrong the connector works on."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from exchange.cli.process.daily import reconciled_daily
from exchange.clock import parse_time
from exchange.connect import sink, table
from exchange.connect.find import Connector
from exchange.errors import ExchangeError
from exchange.names import Department, GrantId
from exchange.reconcile import daily
from exchange.reconcile.result import Finding, Half, Result
from exchange.settings import Settings

CHINA = timezone(timedelta(hours=8))


class Ticking:
    """A clock that is just before the connector's time, whenever it is asked."""

    def now(self) -> datetime:
        noon = datetime(2026, 11, 24, 4, tzinfo=UTC)
        return noon + timedelta(seconds=daily.seconds_until("a.b", noon) - 0.001)


@pytest.mark.parametrize("hour", range(24))
def test_the_time_is_at_night_in_china_and_never_now(hour: int) -> None:
    now = datetime(2026, 11, 24, hour, 17, tzinfo=UTC)
    seconds = daily.seconds_until("taxation.companies", now)
    assert 0 < seconds <= 86_400
    at = (now + timedelta(seconds=seconds)).astimezone(CHINA)
    assert timedelta(hours=3, minutes=30) <= timedelta(hours=at.hour, minutes=at.minute) < timedelta(hours=6)
    assert daily.seconds_until("taxation.companies", at) == 86_400


def test_connectors_do_not_all_begin_at_once() -> None:
    now = parse_time("2026-11-24T08:00:00Z")
    assert len({daily.seconds_until(f"department.connector-{number}", now) for number in range(40)}) > 20


def test_what_goes_wrong_today_is_tried_again_tomorrow() -> None:
    stop, days = threading.Event(), 0

    def act() -> list[Finding]:
        nonlocal days
        days += 1
        if days == 1:
            raise ExchangeError("E_SINK_UNREACHABLE", "away")
        if days == 2:
            raise RuntimeError("a fault of ours")
        stop.set()
        return [Finding(GrantId("g-1"), Result(Half.GRANTEE, Ticking().now(), 3, 2, altered=1), [], "the table")]

    daily.every_day("a.b", act, stop, Ticking())
    assert days == 3


def test_the_thread_ends_with_the_connector() -> None:
    connector = Connector("taxation.companies", Department("taxation"), sink("population.death", table("deaths")))
    before = threading.active_count()
    with reconciled_daily(connector, Settings()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before

"""Days and moments: a moment becomes the day in China, and none depends on the zone of this machine."""

import datetime
import time
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exchange.avro import Codec
from exchange.errors import ExchangeError

NEW_YORK, CHINA = ZoneInfo("America/New_York"), ZoneInfo("Asia/Shanghai")


def there_and_back(kind: str, logical: str, value: Any, nullable: bool = False) -> Any:
    type_: Any = {"type": kind, "logicalType": logical}
    field = {"name": "f", "type": ["null", type_] if nullable else type_}
    codec = Codec({"type": "record", "name": "R", "fields": [field]})
    return codec.decode(codec.encode({"f": value}))["f"]


@pytest.fixture(params=["UTC", "America/New_York"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone that the machine happens to have."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime.datetime(2026, 1, 2, 16, 30, tzinfo=UTC), "2026-01-03"),
        (datetime.datetime(2026, 1, 2, 15, 59, 59, tzinfo=UTC), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 12, 0, tzinfo=NEW_YORK), "2026-01-03"),
        (datetime.datetime(2026, 1, 3, 0, 30, tzinfo=timezone(timedelta(hours=8))), "2026-01-03"),
        (datetime.datetime(1988, 7, 1, 0, 0, tzinfo=CHINA), "1988-07-01"),  # summer time of those years
        (datetime.datetime(2026, 1, 2, 23, 59), "2026-01-02"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_a_moment_in_a_date_is_the_day_in_china(moment: datetime.date, day: str, nullable: bool) -> None:
    assert there_and_back("int", "date", moment, nullable).isoformat() == day


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("logical", ["timestamp-millis", "timestamp-micros"])
def test_a_moment_without_zone_is_one_of_china(logical: str) -> None:
    found = there_and_back("long", logical, datetime.datetime(2026, 1, 2, 8, 0))
    assert found == datetime.datetime(2026, 1, 2, 0, 0, tzinfo=UTC)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("logical", ["local-timestamp-millis", "local-timestamp-micros"])
def test_a_moment_with_zone_in_a_local_timestamp_is_the_clock_in_china(logical: str) -> None:
    found = there_and_back("long", logical, datetime.datetime(2026, 1, 2, 16, 30, tzinfo=UTC))
    assert found.replace(tzinfo=None) == datetime.datetime(2026, 1, 3, 0, 30)


@pytest.mark.parametrize(
    ("kind", "logical", "value"),
    [
        ("long", "timestamp-millis", datetime.date(2026, 1, 2)),
        ("long", "timestamp-micros", "2026-01-02"),
        ("int", "date", 1.5),
        ("int", "date", datetime.time(1, 2)),
    ],
)
def test_what_is_no_moment_is_refused(kind: str, logical: str, value: Any) -> None:
    with pytest.raises(ExchangeError) as caught:
        there_and_back(kind, logical, value)
    assert caught.value.code == "E_ENCODE"


@pytest.mark.parametrize(("value", "text"), [("inf", "Infinity"), ("nan", "NaN"), ("float", "a float")])
def test_a_decimal_that_is_no_exact_number_is_refused(value: str, text: str) -> None:
    given = 1.5 if text == "a float" else Decimal(value)
    type_ = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}
    with pytest.raises(ExchangeError) as caught:
        Codec({"type": "record", "name": "R", "fields": [{"name": "f", "type": type_}]}).encode({"f": given})
    assert caught.value.code == "E_ENCODE"

"""The end of a period is shown as people say it: by its last day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from exchange.calendar import last_day
from exchange.cli.demand.shown import until_in_shanghai
from exchange.web.console.rendering import _until

END = "2027-12-31T16:00:00.000Z"


def test_a_period_that_ends_with_a_day_is_shown_by_that_day() -> None:
    assert last_day(datetime(2027, 12, 31, 16, tzinfo=UTC)) == date(2027, 12, 31)
    assert _until(END) == "2027-12-31"
    assert until_in_shanghai(END) == "the end of 2027-12-31"


@pytest.mark.parametrize("off", [timedelta(milliseconds=1), timedelta(hours=1), timedelta(hours=16)])
def test_a_period_that_ends_within_a_day_is_shown_by_its_moment(off: timedelta) -> None:
    end = datetime(2027, 12, 31, 16, tzinfo=UTC) - off
    assert last_day(end) is None
    assert ":" in until_in_shanghai(end.isoformat())

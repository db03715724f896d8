"""Working days on the official calendar."""

from datetime import UTC, date, datetime, timedelta

import pytest

from exchange.calendar import Deadline, _is_fixed, add_working_days, day, day_in_shanghai


def test_start_day_does_not_count() -> None:
    assert add_working_days(date(2026, 11, 23), 1) == Deadline(date(2026, 11, 24), provisional=False)


def test_ten_working_days_over_weekends() -> None:
    assert add_working_days(date(2026, 11, 24), 10) == Deadline(date(2026, 12, 8), provisional=False)


def test_national_day_week_does_not_count() -> None:
    assert add_working_days(date(2025, 9, 30), 1) == Deadline(date(2025, 10, 9), provisional=False)


def test_make_up_workday_on_a_weekend_counts() -> None:
    assert date(2025, 9, 28).weekday() == 6
    assert add_working_days(date(2025, 9, 26), 1).date == date(2025, 9, 28)


def test_deadline_in_a_year_not_announced_is_provisional() -> None:
    """Far enough away that no installed calendar knows it."""
    deadline = add_working_days(date(2095, 1, 3), 5)
    assert deadline == Deadline(date(2095, 1, 10), provisional=True)


def test_deadline_that_only_passes_through_unannounced_days_is_provisional() -> None:
    last_known = max(year for year in range(2024, 2095) if day(date(year, 6, 1)).announced)
    assert not add_working_days(date(last_known, 12, 1), 5).provisional
    assert add_working_days(date(last_known, 12, 20), 20).provisional
    assert not day(date(last_known + 1, 1, 4)).announced


def test_years_before_the_calendar_begins_are_provisional() -> None:
    assert add_working_days(date(1999, 3, 1), 1).provisional


def test_no_days_give_the_start() -> None:
    assert add_working_days(date(2025, 10, 4), 0) == Deadline(date(2025, 10, 4), provisional=False)


def test_negative_days_are_refused() -> None:
    with pytest.raises(ValueError, match="before its start"):
        add_working_days(date(2025, 10, 4), -1)


def test_a_moment_is_refused_as_start() -> None:
    with pytest.raises(TypeError):
        add_working_days(datetime(2025, 10, 4, tzinfo=UTC), 1)


def test_day_of_a_moment_is_that_of_shanghai() -> None:
    assert day_in_shanghai(datetime(2026, 11, 23, 15, 59, tzinfo=UTC)) == date(2026, 11, 23)
    assert day_in_shanghai(datetime(2026, 11, 23, 16, 0, tzinfo=UTC)) == date(2026, 11, 24)
    with pytest.raises(ValueError, match="time zone"):
        day_in_shanghai(datetime(2026, 11, 23, 16, 0))


def unannounced(of: date) -> bool:
    return not day(of).announced


@pytest.mark.parametrize(
    "of",
    [
        *(date(2031, month, number) for month, number in ((1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3))),
        *(date(2031, 1, number) for number in (22, 23, 24, 25)),
        date(2031, 4, 5),
        date(2031, 6, 24),
        date(2036, 10, 4),
        date(2044, 5, 31),
        date(2090, 10, 1),
    ],
)
def test_a_holiday_of_the_law_is_no_working_day_also_before_it_is_announced(of: date) -> None:
    assert unannounced(of)
    assert not day(of).working


def test_twenty_days_that_end_on_new_year_end_behind_it() -> None:
    """Also with a calendar that does not know the year: 1 January is a holiday in every year."""
    for year in range(2030, 2040):
        if day(date(year - 1, 12, 1)).announced:
            continue
        assert add_working_days(date(year - 1, 12, 31), 1).date.day != 1


@pytest.mark.parametrize("of", [date(2031, 1, 27), date(2031, 4, 4), date(2031, 10, 6), date(2090, 2, 7)])
def test_days_beside_the_holidays_of_the_law_are_what_their_weekday_says(of: date) -> None:
    assert unannounced(of)
    assert day(of).working


def test_the_days_of_the_law_were_holidays_in_every_year_that_is_announced_since_the_law() -> None:
    """The fixed rule agrees with what was announced: wherever both are known, no such day was a working day."""
    for year in range(2025, 2051):
        first = date(year, 1, 1)
        for passed in range(365):
            of = first + timedelta(days=passed)
            assert not (day(of).announced and _is_fixed(of) and day(of).working), of

"""What holds for every start and every number of working days."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.calendar import add_working_days, day

STARTS = st.dates(min_value=date(2003, 1, 1), max_value=date(2030, 12, 31))
NUMBERS = st.integers(1, 60)


@given(STARTS, NUMBERS)
def test_deadline_is_a_working_day_after_the_start(start: date, number: int) -> None:
    deadline = add_working_days(start, number)
    assert deadline.date > start
    assert day(deadline.date).working


@given(STARTS, NUMBERS)
def test_exactly_that_many_working_days_lie_between(start: date, number: int) -> None:
    end = add_working_days(start, number).date
    between = [start + timedelta(days=offset) for offset in range(1, (end - start).days + 1)]
    assert sum(day(one).working for one in between) == number
    assert add_working_days(start, number).provisional == (not all(day(one).announced for one in between))


@given(STARTS, NUMBERS, NUMBERS)
def test_two_periods_after_each_other_are_one(start: date, first: int, second: int) -> None:
    middle = add_working_days(start, first)
    end = add_working_days(middle.date, second)
    whole = add_working_days(start, first + second)
    assert whole.date == end.date
    assert whole.provisional == (middle.provisional or end.provisional)


@given(STARTS, NUMBERS, st.integers(0, 30))
def test_a_later_start_never_ends_earlier(start: date, number: int, later: int) -> None:
    assert add_working_days(start + timedelta(days=later), number).date >= add_working_days(start, number).date


@given(STARTS, NUMBERS)
def test_more_days_end_later(start: date, number: int) -> None:
    assert add_working_days(start, number + 1).date > add_working_days(start, number).date

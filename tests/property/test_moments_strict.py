"""A text is taken for a moment exactly when it is RFC 3339 with a zone and of our time, and means what is written."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.moments import beginning, day, end, moment

DIGITS = frozenset("0123456789")


def number(text: str, least: int, most: int) -> int | None:
    """The number of two or four ASCII digits, within bounds."""
    if not text or not DIGITS.issuperset(text) or not least <= int(text) <= most:
        return None
    return int(text)


def meaning(text: str) -> datetime | None:
    """What RFC 3339, section 5.6, says of a text, read sign by sign; None: it is no moment of our time."""
    if len(text) < 20 or text[4] + text[7] + text[13] + text[16] != "--::" or text[10] not in "Tt":
        return None
    year, month = number(text[:4], 2000, 2999), number(text[5:7], 1, 12)
    hour, minute, second = number(text[11:13], 0, 23), number(text[14:16], 0, 59), number(text[17:19], 0, 59)
    if year is None or month is None or hour is None or minute is None or second is None:
        return None
    day_ = number(text[8:10], 1, monthrange(year, month)[1])
    rest, micros = text[19:], 0
    if rest[0] == ".":
        fraction = rest[1:]
        while fraction and fraction[-1] not in "Zz+-":
            fraction = fraction[:-1]
        fraction = fraction.split("+")[0].split("-")[0].rstrip("Zz") if fraction else ""
        if not fraction or not DIGITS.issuperset(fraction) or len(fraction) > 30:
            return None
        micros, rest = int(fraction[:6].ljust(6, "0")), rest[1 + len(fraction) :]
    zone = zone_of(rest)
    if day_ is None or zone is None:
        return None
    return datetime(year, month, day_, hour, minute, second, micros, timezone(zone))


def zone_of(text: str) -> timedelta | None:
    if text in ("Z", "z"):
        return timedelta()
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        return None
    hours, minutes = number(text[1:3], 0, 23), number(text[4:], 0, 59)
    if hours is None or minutes is None:
        return None
    size = timedelta(hours=hours, minutes=minutes)
    return size if text[0] == "+" else -size


def taken(text: Any) -> datetime | None:
    try:
        return moment(text)
    except ValueError:
        return None


TWO = st.integers(0, 99).map("{:02}".format)
YEARS = st.one_of(st.integers(0, 9999), st.sampled_from([1969, 1970, 1999, 2000, 2999, 3000, 9999])).map("{:04}".format)
ZONES = st.one_of(
    st.sampled_from("Zz"), st.tuples(st.sampled_from("+-"), TWO, TWO).map(lambda z: f"{z[0]}{z[1]}:{z[2]}")
)
FRACTIONS = st.one_of(st.just(""), st.text("0123456789", max_size=12).map(".{}".format))
LIKE = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    YEARS, TWO, TWO, st.sampled_from("TTTTt "), TWO, TWO, TWO, FRACTIONS, ZONES,
)  # fmt: skip
GOOD = st.builds(
    lambda at, letter, fraction, zone: f"{at:%Y-%m-%d}{letter}{at:%H:%M:%S}{fraction}{zone}",
    st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31, 23, 59, 59)),
    st.sampled_from("Tt"),
    st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=12).map(".{}".format)),
    st.one_of(
        st.sampled_from("Zz"),
        st.builds("{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 23), st.integers(0, 59)),
    ),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good moment with one sign replaced, added or left out."""
    text = draw(GOOD)
    at, sign = (
        draw(st.integers(0, len(text))),
        draw(st.one_of(st.sampled_from("0123456789:-+.,TtZz WzT"), st.characters())),
    )
    return draw(
        st.sampled_from([text[:at] + sign + text[at + 1 :], text[:at] + sign + text[at:], text[:at] + text[at + 1 :]])
    )


@given(GOOD)
def test_what_is_rfc_3339_of_our_time_is_taken_for_what_it_says(text: str) -> None:
    assert meaning(text) is not None
    assert taken(text) == meaning(text)


@given(st.one_of(LIKE, damaged(), st.text(max_size=40)))
@example("2026-11-28T24:00:00Z")
@example("2026-06-30T23:59:60Z")
@example("2026-11-28T08:00:00,5Z")
@example("2026-11-28T08:00:00.Z")
@example("2026-11-28 08:00:00Z")
@example("2026-11-28T08:00:00")
@example("2026-11-28T08:00:00+08")
@example("2026-11-28T08:00:00+0800")
@example("2026-11-28T08:00Z")
@example("2026-11-28")
@example("20261128T080000Z")
@example("2026-11-28T08:00:00−08:00")
@example("２026-11-28T08:00:00Z")
@example("2026-11-28T08:00:00Z\n")
@example("2026-W48-6T08:00:00Z")
@example("9999-12-31T23:59:59-14:00")
@example("2027-02-29T00:00:00Z")
@example("1767225600")
def test_what_is_not_is_refused(text: str) -> None:
    assert taken(text) == meaning(text)


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.binary(),
        st.lists(st.text()),
        st.just(datetime.now(UTC)),
    )
)
def test_what_is_no_text_is_refused(value: Any) -> None:
    assert taken(value) is None


@given(st.dates())
def test_a_day_is_that_of_shanghai(value: Any) -> None:
    if not 2000 <= value.year <= 2999:
        with pytest.raises(ValueError, match="2026-12-31"):
            day(value.isoformat())
        return
    found = day(value.isoformat())
    assert found == value
    assert beginning(found) == datetime(value.year, value.month, value.day, tzinfo=timezone(timedelta(hours=8)))
    assert end(found) - beginning(found) == timedelta(days=1)


@pytest.mark.parametrize(
    "text", ["20261231", "2026-W53-4", "2026-1-1", "2026-02-30", "2026", "31.12.2026", "", " 2026-12-31"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2026-12-31"):
        day(text)

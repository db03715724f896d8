"""Days and times as a column takes them, exactly."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from exchange.connect.reading import CHINA
from exchange.handover.table.definition import Form, FoundColumn
from exchange.handover.table.exact.kinds import Kind
from exchange.handover.table.exact.losses import Convert, Make, lost

_MICROSECOND_DIGITS = 6


def _day(_: FoundColumn, dialect: str) -> Convert | None:
    return date.isoformat if dialect == "sqlite" else None


def _day_as_moment(column: FoundColumn, dialect: str) -> Convert:
    place = _placed(column, dialect)
    return lambda value: place(datetime(value.year, value.month, value.day, tzinfo=CHINA))


def _moment(column: FoundColumn, dialect: str) -> Convert | None:
    if column.zoned and column.fraction >= _MICROSECOND_DIGITS:
        return None
    place, exact = _placed(column, dialect), _exact_second(column)
    return lambda value: place(exact(value))


def _local(column: FoundColumn, dialect: str) -> Convert | None:
    exact = _exact_second(column)
    if dialect == "sqlite":
        return lambda value: value.isoformat(" ", "microseconds")
    return lambda value: exact(value.replace(tzinfo=CHINA) if column.zoned else value)


def _placed(column: FoundColumn, dialect: str) -> Convert:
    """A moment in the zone of the column."""
    if dialect == "sqlite":
        return lambda value: value.isoformat(" ", "microseconds")
    if column.zoned:
        return lambda value: value
    return lambda value: value.astimezone(CHINA).replace(tzinfo=None)


def _exact_second(column: FoundColumn) -> Convert:
    """Raises where the column keeps fewer digits of a second than the value has."""
    unit = 10 ** (_MICROSECOND_DIGITS - column.fraction)

    def convert(value: Any) -> Any:
        if value.microsecond % unit:
            raise lost(column, f"a part of a second, of which the column keeps {column.fraction} digits")
        return value

    return convert


def _moment_as_day(column: FoundColumn, dialect: str) -> Convert:
    def convert(value: datetime) -> Any:
        there = value.astimezone(CHINA) if value.tzinfo is not None else value
        if there.time() != time():
            raise lost(column, "a time of day, the column keeps days")
        return there.date().isoformat() if dialect == "sqlite" else there.date()

    return convert


def _time(column: FoundColumn, dialect: str) -> Convert:
    exact = _exact_second(column)
    return (lambda value: value.isoformat("microseconds")) if dialect == "sqlite" else exact


TIMES: Mapping[tuple[Kind, Form], Make] = {
    (Kind.DATE, Form.DATE): _day,
    (Kind.DATE, Form.MOMENT): _day_as_moment,
    (Kind.MOMENT, Form.MOMENT): _moment,
    (Kind.MOMENT, Form.DATE): _moment_as_day,
    (Kind.LOCAL, Form.MOMENT): _local,
    (Kind.LOCAL, Form.DATE): _moment_as_day,
    (Kind.TIME, Form.TIME): _time,
}

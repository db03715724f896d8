"""What the values of a share are, as far as columns tell them apart."""

from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from exchange.handover.layout import not_null


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    INTEGER = "whole number"
    DECIMAL = "decimal"
    FLOAT = "binary fraction"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    DATE = "date"
    MOMENT = "moment"
    LOCAL = "local date and time"
    TIME = "time of day"
    UUID = "uuid"
    JSON = "structure"


_KINDS = {
    "string": Kind.TEXT, "enum": Kind.TEXT, "int": Kind.INTEGER, "long": Kind.INTEGER, "float": Kind.FLOAT,
    "double": Kind.FLOAT, "boolean": Kind.BOOLEAN, "bytes": Kind.BYTES, "fixed": Kind.BYTES,
}  # fmt: skip
_LOGICAL_KINDS = {
    "decimal": Kind.DECIMAL, "date": Kind.DATE, "time-millis": Kind.TIME, "time-micros": Kind.TIME,
    "timestamp-millis": Kind.MOMENT, "timestamp-micros": Kind.MOMENT, "local-timestamp-millis": Kind.LOCAL,
    "local-timestamp-micros": Kind.LOCAL, "uuid": Kind.UUID,
}  # fmt: skip
_OF_PYTHON = (
    (bool, Kind.BOOLEAN), (int, Kind.INTEGER), (str, Kind.TEXT), (Decimal, Kind.DECIMAL), (float, Kind.FLOAT),
    (datetime, Kind.MOMENT), (date, Kind.DATE), (time, Kind.TIME), (bytes, Kind.BYTES), (UUID, Kind.UUID),
)  # fmt: skip


def kind_of(avro: Any) -> Kind:
    """What the values of an Avro type are."""
    kind = not_null(avro)
    if isinstance(kind, str):
        return _KINDS.get(kind, Kind.JSON)
    return _LOGICAL_KINDS.get(kind.get("logicalType")) or _KINDS.get(kind["type"], Kind.JSON)


def kind_of_value(value: Any) -> Kind:
    """What a value is that a department's own function gave."""
    found = next((kind for type_, kind in _OF_PYTHON if isinstance(value, type_)), Kind.JSON)
    return Kind.LOCAL if found is Kind.MOMENT and value.tzinfo is None else found


def scale_of(avro: Any) -> int | None:
    """How many decimals the values of an Avro type have at most; None where it has no decimals."""
    kind = not_null(avro)
    decimal = not isinstance(kind, str) and kind.get("logicalType") == "decimal"
    return kind.get("scale", 0) if decimal else None

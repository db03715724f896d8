"""Moments as bodies and queries hold them (`exchange.moments`)."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from exchange.moments import MOMENT, moment

Moment = Annotated[
    datetime,
    BeforeValidator(moment),
    WithJsonSchema({"type": "string", "format": "date-time", "description": MOMENT}),
]
"""A moment of a body or a query."""

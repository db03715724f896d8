"""Equal values kept once: names, laws, terms and schemas repeat in a ledger, and every event brings its own copies."""

import json
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
_KEPT = 16_384


@lru_cache(maxsize=_KEPT)
def _first(value: Any) -> Any:
    return value


def interned(value: T) -> T:
    """The first of the recent values that are equal to `value`, which must be immutable and hold texts only."""
    first: T = _first(value)
    return first


def interned_texts(values: dict[str, Any]) -> dict[str, Any]:
    """A copy of the dictionary whose names and texts are kept once."""
    return {interned(name): interned(value) if isinstance(value, str) else value for name, value in values.items()}


def interned_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The first of the recent schemas with this JSON; nobody may change it."""
    return _schema(json.dumps(schema, ensure_ascii=False))


@lru_cache(maxsize=1024)
def _schema(text: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text)
    return read

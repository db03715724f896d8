"""Redact: only granted fields go on, masked where the terms say so.

Admission has proven every record well-formed, so a kept field is a slice of the record's bytes and nothing is decoded.
"""

from collections.abc import Callable
from typing import Any

from exchange.delivery.cutting.layout import Choice, Layout, choice
from exchange.delivery.cutting.masks import MASKED_TYPES, masker
from exchange.delivery.permit import Share
from exchange.errors import ExchangeError
from exchange.record import frame

_Part = str | bytes | tuple[int, int]
"""Of a value: an expression, constant bytes, or the fields from one to another as they stand."""


def emit_cut(share: Share, layout: Layout, env: dict[str, Any]) -> str:
    """The framed value of `share` as one expression over the offsets of `layout`.

    Constants go into `env`. Raises ExchangeError(E_SHARE_TERMS) when the share's schema is no cut of the writer's.
    """
    masks = dict(share.terms.masks)
    shown = Layout.of(share.schema)
    parts: list[_Part] = [frame(share.schema_id)]
    for name, type_, shape in zip(shown.names, shown.types, shown.shapes, strict=True):
        index = layout.index(name)
        if index is None:
            parts.append(_missing(type_, name))
        elif name in masks:
            _refuse_other_input(masks[name], layout, index)
            parts.append(_masked(masker(masks[name], share.secret), (layout, index), choice(type_), env))
        elif layout.shapes[index] != shape:
            raise ExchangeError("E_SHARE_TERMS", f"field {name} has another type than in the registry")
        else:
            parts.append((index, index))
    return _joined(parts, layout, env)


def _refuse_other_input(mask: str, layout: Layout, index: int) -> None:
    if choice(layout.types[index]).kind != MASKED_TYPES.get(mask):
        raise ExchangeError("E_SHARE_TERMS", f"mask {mask} does not fit field {layout.names[index]}")


def _missing(type_: Any, name: str) -> bytes:
    """What stands for a field that came into the schema after the record was written: null."""
    branches = type_ if isinstance(type_, list) else [type_]
    if "null" not in branches:
        raise ExchangeError("E_SHARE_TERMS", f"field {name} is missing in an older version and cannot be null")
    return bytes([2 * branches.index("null")]) if isinstance(type_, list) else b""


def _masked(mask: Callable[[bytes], bytes], place: tuple[Layout, int], shown: Choice, env: dict[str, Any]) -> str:
    layout, index = place
    written = choice(layout.types[index])
    if shown.kind != "string" or (shown.present is None) != (written.present is None):
        raise ExchangeError("E_SHARE_TERMS", f"field {layout.names[index]} is masked, but its type is not a string's")
    name = f"M{len(env)}"
    env[name] = mask
    start, end = layout.start(index), layout.end(index)
    at = start if written.present is None else f"{start} + 1"
    if written.kind == "string":
        at += f" + (1 if b[{at}] < 128 else 2 if b[{at} + 1] < 128 else 3)"  # the length before it: at most 3 bytes
    value = f"{name}(b[{at}:{end}])"
    if written.present is None:
        return value
    return (
        f"({_branch(shown.present)!r} + {value} if b[{start}] == {2 * written.present} else {_branch(shown.absent)!r})"
    )


def _branch(index: int | None) -> bytes:
    assert index is not None, "a union of two has both branches"
    return bytes([2 * index])


def _joined(parts: list[_Part], layout: Layout, env: dict[str, Any]) -> str:
    """One join of all parts; neighbours that are neighbours in the record too, and constants, are one part."""
    merged: list[_Part] = []
    for part in parts:
        last = merged[-1] if merged else ""
        if isinstance(part, bytes) and isinstance(last, bytes):
            merged[-1] = last + part
        elif isinstance(part, tuple) and isinstance(last, tuple) and last[1] + 1 == part[0]:
            merged[-1] = (last[0], part[1])
        else:
            merged.append(part)
    return f"b''.join(({', '.join(_code(part, layout, env) for part in merged)},))"


def _code(part: _Part, layout: Layout, env: dict[str, Any]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, tuple):
        return f"b[{layout.start(part[0])}:{layout.end(part[1])}]"
    name = f"P{len(env)}"
    env[name] = part
    return name

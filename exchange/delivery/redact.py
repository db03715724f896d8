"""Redact: only granted fields go on, masked where the terms say so.

Admission has proven every record well-formed, so a kept field is a slice of the record's bytes and nothing is decoded.
"""

from collections.abc import Callable

from exchange.avro.compiled.slices import Part, Slices
from exchange.avro.resolution import keeps_bytes
from exchange.avro.schema import Field, Node, Union, parse_record
from exchange.delivery.cutting.field_type import field_type
from exchange.delivery.cutting.masks import MASKED_TYPES, masker
from exchange.delivery.permit import Share
from exchange.errors import ExchangeError
from exchange.record import frame


def emit_cut(share: Share, slices: Slices) -> str:
    """The framed value of `share` as one expression over the writer's `slices`.

    Raises ExchangeError(E_SHARE_TERMS) when the share's schema is no cut of the writer's.
    """
    masks = dict(share.terms.masks)
    parts: list[Part] = [frame(share.schema_id)]
    for shown in _shown(share):
        number = slices.number(shown.name)
        if number is None:
            parts.append(_missing(shown))
        elif shown.name in masks:
            _refuse_other_input(masks[shown.name], slices.fields[number])
            parts.append(_masked(masker(masks[shown.name], share.secret), number, shown.type, slices))
        elif not keeps_bytes(slices.fields[number].type, shown.type):
            raise ExchangeError("E_SHARE_TERMS", f"field {shown.name} has another type than in the registry")
        else:
            parts.append(number)
    return slices.joined(parts)


def _shown(share: Share) -> list[Field]:
    try:
        return parse_record(share.schema).fields
    except ExchangeError as error:
        raise ExchangeError("E_SHARE_TERMS", f"the schema of share {share.share}: {error.detail}") from None


def _refuse_other_input(mask: str, written: Field) -> None:
    if field_type(written.type).kind != MASKED_TYPES.get(mask):
        raise ExchangeError("E_SHARE_TERMS", f"mask {mask} does not fit field {written.name}")


def _missing(shown: Field) -> bytes:
    """What stands for a field that came into the schema after the record was written: null."""
    branches = shown.type.branches if isinstance(shown.type, Union) else (shown.type,)
    null = next((number for number, branch in enumerate(branches) if branch.kind == "null"), None)
    if null is None:
        raise ExchangeError("E_SHARE_TERMS", f"field {shown.name} is missing in an older version and cannot be null")
    return bytes([2 * null]) if isinstance(shown.type, Union) else b""


def _masked(mask: Callable[[bytes], bytes], number: int, shown: Node, slices: Slices) -> str:
    written, text = field_type(slices.fields[number].type), field_type(shown)
    if text.kind != "string" or (text.present is None) != (written.present is None):
        name = slices.fields[number].name
        raise ExchangeError("E_SHARE_TERMS", f"field {name} is masked, but its type is not a string's")
    start, end = slices.start(number), slices.end(number)
    begin = written.content(start) if written.kind == "string" else written.value(start)
    value = f"{slices.module.constant(mask, 'M')}(b[{begin}:{end}])"
    if written.present is None:
        return value
    return f"({_branch(text.present)!r} + {value} if b[{start}] == {2 * written.present} else {_branch(text.absent)!r})"


def _branch(index: int | None) -> bytes:
    assert index is not None, "a union of two has both branches"
    return bytes([2 * index])

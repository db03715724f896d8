"""Permit ▸ redact ▸ forward as one generated function for each version of a record's schema and set of shares.

A generic cut would look at every share and every field for every record; the generated one walks over the bytes of a
record once, tests each provider once, and joins the slices that each share keeps. It has this form::

    def cut(messages, produce, again, other):
        f0 = r0 = u0 = 0                            # forwarded, retracted, unchanged of share 0
        for message in messages:
            b = message.value()
            if b is None or b[:5] != FRAME:         # a withdrawal, a heartbeat, another version
                other(message)
                continue
            k = message.key()
            h = message.headers()
            p = 5
            o0 = p
            ...                                     # walk: o1, o2 … as far as needed
            s0 = S_1 in h
            if s0:
                v = b''.join((P_3, b[o0:o2]))
                produce(T_4, v, k, N, headers=h)
                f0 += 1
        return ((f0, r0, u0),)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import CodeType
from typing import Any

from exchange.avro.compiled.slices import Slices
from exchange.avro.compiled.source import Module
from exchange.delivery.cutting.pseudonym import keyed_digest
from exchange.delivery.forward import emit_forward
from exchange.delivery.permit import Share, emit_permit, emit_providers
from exchange.delivery.redact import emit_cut
from exchange.delivery.state import Held
from exchange.names import SchemaId
from exchange.record import FRAME_BYTES, frame

Cut = Callable[..., tuple[tuple[int, int, int], ...]]
"""cut(messages, produce, again, other) -> (forwarded, retracted, unchanged) for each share, in the order compiled.

`other` is called with every message that is no record of this schema version; `again` with the arguments of a produce
that found the client's queue full. Raises IndexError for bytes that are no record.
"""
_IN_FUNCTION, _IN_LOOP, _IN_TEST = " ", "  ", "   "


@dataclass(frozen=True, slots=True)
class Holdings:
    """Who holds what, in one unit: changed by the cuts, written by the unit."""

    held: dict[int, Held] = field(default_factory=dict)
    """By share number."""
    changed: set[bytes] = field(default_factory=set)
    """Keys whose holders changed since the state was written."""


def compile_cut(
    schema_id: SchemaId, schema: Mapping[str, Any], shares: Sequence[Share], holdings: Holdings, partition: int
) -> Cut:
    """The cut of records that were written with `schema_id`. Raises ExchangeError(E_SHARE_TERMS) for unfit terms."""
    slices = Slices.of(schema, FRAME_BYTES)
    module = slices.module
    module.environment.update({"FRAME": frame(schema_id), "N": partition, "changed": holdings.changed})
    tests, providers = emit_providers(shares, module)
    steps = []
    for at, share in enumerate(shares):
        steps += _emit_share(at, share, emit_permit(share, providers[share.share], slices), slices, holdings)
    source = "\n".join(
        [
            "def cut(messages, produce, again, other):",
            *(f"{_IN_FUNCTION}f{at} = r{at} = u{at} = 0" for at in range(len(shares))),
            f"{_IN_FUNCTION}for message in messages:",
            f"{_IN_LOOP}b = message.value()",
            f"{_IN_LOOP}if b is None or b[:{FRAME_BYTES}] != FRAME:",
            f"{_IN_TEST}other(message)",
            f"{_IN_TEST}continue",
            f"{_IN_LOOP}k = message.key()",
            f"{_IN_LOOP}h = message.headers() or ()",
            *slices.walk(_IN_LOOP),
            *(_IN_LOOP + line for line in tests),
            *steps,
            f"{_IN_FUNCTION}return ({' '.join(f'(f{at}, r{at}, u{at}),' for at in range(len(shares)))})",
        ]
    )
    env = module.compile("walk")
    exec(_code(source), env)  # noqa: S102 - generated from schemas and terms; constants travel in env, not in the source
    cut: Cut = env.pop("cut")  # the function keeps its globals; if they kept it too, only a collection could free them
    return cut


@lru_cache(maxsize=256)
def _code(source: str) -> CodeType:
    """Units of one record type share their code; only the constants differ."""
    return compile(source, "<cut>", "exec")


def _emit_share(at: int, share: Share, permit: str, slices: Slices, holdings: Holdings) -> list[str]:
    module = slices.module
    value = f"v = {emit_cut(share, slices)}"
    forward = [*emit_forward(share, "v", module), f"f{at} += 1"]
    if not share.tracked:
        return [f"{_IN_LOOP}if {permit}:", *(_IN_TEST + line for line in (value, *forward))]
    held = module.constant(holdings.held.setdefault(share.number, {}), "held")
    leave = [f"del {held}[k]", "changed.add(k)", *emit_forward(share, "None", module), f"r{at} += 1"]
    return [
        f"{_IN_LOOP}if {permit}:",
        _IN_TEST + value,
        *(_IN_TEST + line for line in _emit_hold(at, share, held, forward, module)),
        f"{_IN_LOOP}elif k in {held}:",
        *(_IN_TEST + line for line in leave),
    ]


def _emit_hold(at: int, share: Share, held: str, forward: list[str], module: Module) -> list[str]:
    """Remember that the share holds the record; of personal records a cut equal to the last one stays here."""
    if not share.personal:
        return [f"if k not in {held}:", f" {held}[k] = None", " changed.add(k)", *forward]
    assert share.secret is not None, "a share of a personal type has a secret"
    digest = module.constant(partial(keyed_digest, share.secret), "D")
    keep = [f"{held}[k] = d", "changed.add(k)", *forward]
    return [f"d = {digest}(v)", f"if {held}.get(k) == d: u{at} += 1", "else:", *(f" {line}" for line in keep)]

"""Permit: which records a share may see: those of its provider that are in its row scope.

When the provider is merged into others or split, its grants go on: what an heir submits under a key of the provider is
the provider's. What an heir has of its own is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exchange.avro.compiled.slices import Slices
from exchange.avro.compiled.source import Module
from exchange.delivery.cutting.order import Order
from exchange.delivery.cutting.scopes import emit_scope
from exchange.ledger.state.ledger_state import Terms
from exchange.ledger.state.ownership import Owns
from exchange.names import Department, SchemaId, ShareName
from exchange.record import SOURCE, Headers, source_of


@dataclass(frozen=True, slots=True)
class Inherited:
    """Records of a provider that was merged into others: they come from its heirs, under its keys."""

    heirs: tuple[Department, ...]
    owned: Owns
    """Whether a key is one of the provider's."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share as this line cuts it."""

    share: ShareName
    number: int
    """How the unit's holdings name it."""
    terms: Terms
    schema_id: SchemaId
    schema: dict[str, Any]
    personal: bool
    secret: bytes | None = field(default=None, repr=False)
    """For pseudonyms and the hash of the last cut; only shares of personal types and pseudonymous ones have one."""
    followed: bool = False
    """Whether it has never joined the live flow: until then its holdings alone tell what it has."""
    order: Order = field(default_factory=Order, repr=False, compare=False)
    """Of a pseudonymous share: goes on where its books are when the share is made."""
    inherited: Inherited | None = None
    """What comes from others than the provider; None while that exists."""

    @property
    def tracked(self) -> bool:
        """Whether it is remembered for each key that the share holds it.

        A scoped share must retract what leaves its scope, and only that. Of personal records nobody may learn of a
        record that it never held, nor of a change that touches no granted field. And whoever is backfilled holds some
        of the records already and others not yet.
        """
        return self.followed or self.personal or bool(self.terms.scope)


def emit_providers(shares: Sequence[Share], module: Module) -> tuple[list[str], dict[ShareName, str]]:
    """Lines that test the provider of a record, once for each provider, and the name of the result for each share.

    Admission alone writes the header `ce_source`; it stands among the first in the local `h`. The key is the local `k`.
    """
    lines: list[str] = []
    names: dict[str, str] = {}
    inherited = {share.terms.provider: share.inherited for share in shares}
    for provider in sorted(inherited):
        names[provider] = f"s{len(names)}"
        test, heritage = f"{module.constant((SOURCE, source_of(provider)), 'S')} in h", inherited[provider]
        if heritage is not None:
            test += f" or {module.constant(partial(comes_by_heritage, heritage), 'I')}(k, h)"
        lines.append(f"{names[provider]} = {test}")
    return lines, {share.share: names[share.terms.provider] for share in shares}


def comes_by_heritage(heritage: Inherited, key: bytes, headers: Headers) -> bool:
    """Whether a record is the provider's, but comes from one of its heirs."""
    return any((SOURCE, source_of(heir)) in headers for heir in heritage.heirs) and heritage.owned(key)


def emit_permit(share: Share, provider: str, slices: Slices) -> str:
    """The test whether a record may go to `share`, as one expression. provider: the name of its provider's test."""
    scope = emit_scope(share.terms.scope, slices)
    return f"{provider} and {scope}" if scope else provider

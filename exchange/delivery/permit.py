"""Permit: which records a share may see: those of its provider that are in its row scope."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.delivery.layout import Layout
from exchange.delivery.scopes import emit_scope
from exchange.ledger.state import Terms
from exchange.names import SchemaId, ShareName
from exchange.record import SOURCE, source_of


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

    @property
    def tracked(self) -> bool:
        """Whether it is remembered for each key that the share holds it.

        A scoped share must retract what leaves its scope, and only that. Of personal records nobody may learn of a
        record that it never held, nor of a change that touches no granted field. And whoever is backfilled holds some
        of the records already and others not yet.
        """
        return self.followed or self.personal or bool(self.terms.scope)


def emit_providers(shares: Sequence[Share], env: dict[str, Any]) -> tuple[list[str], dict[ShareName, str]]:
    """Lines that test the provider of a record, once for each provider, and the name of the result for each share.

    Admission alone writes the header `ce_source`; it stands among the first in the local `h`.
    """
    lines: list[str] = []
    names: dict[str, str] = {}
    for provider in sorted({share.terms.provider for share in shares}):
        constant = f"S{len(names)}"
        env[constant] = (SOURCE, source_of(provider))
        names[provider] = f"s{len(names)}"
        lines.append(f"{names[provider]} = {constant} in h")
    return lines, {share.share: names[share.terms.provider] for share in shares}


def emit_permit(share: Share, layout: Layout, provider: str, env: dict[str, Any]) -> str:
    """The test whether a record may go to `share`, as one expression."""
    scope = emit_scope(share.terms.scope, layout, env)
    return f"{provider} and {scope}" if scope else provider

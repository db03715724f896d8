"""What reconciliations have found: the word of grantee and provider on a grant, shown beside the evidence."""

from collections.abc import Mapping
from typing import Any

from exchange.kafka.client.message import Message
from exchange.names import Department, GrantId
from exchange.observe import metrics
from exchange.reconcile.result import RESULT_KEY, Half, Result, decode, grant_of, view

_MOST_OF_ONE = 10_000
"""Grants on which one department's word is kept: its topic may hold anything."""
_Halves = Mapping[Half, Result | None]


class Reconciliations:
    """What the halves say in `receipt.*` and `report.*`. Taken and published by one thread; `of` is for any."""

    def __init__(self) -> None:
        self._of_grantees: dict[GrantId, Result] = {}
        self._of_providers: dict[Department, dict[GrantId, Result]] = {}
        self._shown: dict[GrantId, _Halves] = {}

    def publish(self, grants: Mapping[GrantId, Department]) -> None:
        """Show the results of these grants, by their providers: only the provider of a grant speaks for its half."""
        self._shown = {grant: self._halves(grant, provider) for grant, provider in grants.items()}
        found = [
            ((grant, half.value), result)
            for grant, halves in self._shown.items()
            for half, result in halves.items()
            if result is not None
        ]
        metrics.RECONCILED_DIFFERENCES.replace({labels: float(one.differences) for labels, one in found})
        metrics.RECONCILED_AT.replace({labels: one.at.timestamp() for labels, one in found})

    def of(self, grant: GrantId) -> dict[str, Any]:
        """The last result of each half of a grant; null for a half that has said nothing."""
        halves = self._shown.get(grant, {})
        return {half.value: view(halves.get(half)) for half in Half}

    def _halves(self, grant: GrantId, provider: Department) -> _Halves:
        of_provider = self._of_providers.get(provider, {}).get(grant)
        return {Half.GRANTEE: self._of_grantees.get(grant), Half.PROVIDER: of_provider}

    def take_of_grantee(self, grant: str, message: Message) -> None:
        """A record of `receipt.<grant>`; receipts themselves are left."""
        result = decode(message.value(), Half.GRANTEE) if message.key() == RESULT_KEY else None
        if result is not None:
            self._of_grantees[GrantId(grant)] = result

    def take_of_provider(self, department: str, message: Message) -> None:
        """A record of `report.<department>`; reports of sources are left."""
        grant = grant_of(message.key())
        result = decode(message.value(), Half.PROVIDER) if grant is not None else None
        known = self._of_providers.setdefault(Department(department), {})
        if grant is not None and result is not None and (grant in known or len(known) < _MOST_OF_ONE):
            known[grant] = result

"""What reconciliations have found: the word of grantee and provider on a grant, shown beside the evidence."""

from collections.abc import Collection, Mapping
from typing import Any

from exchange import names
from exchange.broker.evidence.line_states import Follow, Tail
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.names import Department, GrantId
from exchange.observe import metrics
from exchange.reconcile.result import Half, Result, decode, grant_of, view

_REPORT_PREFIX = names.report_topic(Department(""))
_RECEIPT_PREFIX = names.receipt_topic(GrantId(""))
_POLL_SECONDS = 0.5
_MOST_OF_ONE = 10_000
"""Grants on which one department's word is kept: its topic may hold anything."""


class Reconciliations:
    """Follows `report.*`, and hears what stands in `receipt.*`. Used by one thread; `of` by any."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._topics: frozenset[str] = frozenset()
        self._tail: Tail | None = None
        self._of_grantees: dict[GrantId, Result] = {}
        self._of_providers: dict[Department, dict[GrantId, Result]] = {}

    def heard(self, message: Message) -> None:
        """A grantee's result, from the topic of its receipts."""
        result = decode(message.value(), Half.GRANTEE)
        if result is not None:
            self._of_grantees[GrantId(message.topic().removeprefix(_RECEIPT_PREFIX))] = result

    def refresh(self, topics: Collection[str], seconds: float) -> None:
        """Read `report.*` to the end. `topics`: every topic there is. Raises ExchangeError(E_KAFKA_*)."""
        wanted = frozenset(topic for topic in topics if topic.startswith(_REPORT_PREFIX))
        if wanted != self._topics:
            self.close()
            self._topics = wanted
            self._tail = self._follow([(topic, 0) for topic in sorted(wanted)]) if wanted else None
        if self._tail is None:
            return
        deadline = Deadline.after(seconds)
        self._take(self._tail, 0)
        while not self._tail.at_end:
            if deadline.passed:
                raise ExchangeError("E_KAFKA_UNREACHABLE", "the reports were not read in time")
            self._take(self._tail, min(_POLL_SECONDS, deadline.remaining()))

    def of(self, grant: GrantId, provider: Department) -> dict[str, Any]:
        """The last result of each half of a grant of `provider`; null for a half that has said nothing."""
        return {half.value: view(result) for half, result in self._halves(grant, provider)}

    def publish(self, grants: Mapping[GrantId, Department]) -> None:
        """Show the results as metrics. `grants`: those that run, with their providers."""
        found = [
            ((grant, half.value), result)
            for grant, provider in grants.items()
            for half, result in self._halves(grant, provider)
            if result is not None
        ]
        metrics.RECONCILED_DIFFERENCES.replace({labels: float(one.differences) for labels, one in found})
        metrics.RECONCILED_AT.replace({labels: one.at.timestamp() for labels, one in found})

    def close(self) -> None:
        """Let go of the client."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        self._topics = frozenset()

    def _halves(self, grant: GrantId, provider: Department) -> list[tuple[Half, Result | None]]:
        of_provider = self._of_providers.get(provider, {}).get(grant)
        return [(Half.GRANTEE, self._of_grantees.get(grant)), (Half.PROVIDER, of_provider)]

    def _take(self, tail: Tail, seconds: float) -> None:
        for message in tail.poll(seconds):
            grant = grant_of(message.key())
            result = decode(message.value(), Half.PROVIDER) if grant is not None else None
            department = Department(message.topic().removeprefix(_REPORT_PREFIX))
            known = self._of_providers.setdefault(department, {})
            if grant is not None and result is not None and (grant in known or len(known) < _MOST_OF_ONE):
                known[grant] = result

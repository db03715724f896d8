"""Demands that ask for the same: found by what they ask for, however many demands there are."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from exchange.names import DemandId, RecordType


@dataclass(slots=True)
class Alike:
    """Demands by a hash of what they ask for. Who looks one up compares: hashes may meet, and a demand may change."""

    _demands: dict[int, tuple[DemandId, ...]] = field(default_factory=dict)

    def note(
        self,
        demand: DemandId,
        record_type: RecordType,
        resource: str | None,
        fields: Iterable[str],
        scope: Hashable,
    ) -> None:
        """Note what a demand asks for now; what it asked for before stays."""
        key = hash((record_type, resource, frozenset(fields), scope))
        known = self._demands.get(key, ())
        if demand not in known:
            self._demands[key] = (*known, demand)

    def of(
        self, record_type: RecordType, resource: str | None, fields: Iterable[str], scope: Hashable
    ) -> tuple[DemandId, ...]:
        """Every demand, of any department, that asks for these fields of these rows; perhaps a few others."""
        return self._demands.get(hash((record_type, resource, frozenset(fields), scope)), ())

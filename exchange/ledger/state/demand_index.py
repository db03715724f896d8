"""Demands that ask for the same, or for the same end: found by that, however many demands there are."""

import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from exchange.names import DemandId, RecordType


@dataclass(slots=True)
class DemandIndex:
    """Demands by hashes of what they ask for. Who looks one up compares: hashes may meet, and a demand may change."""

    _demands: dict[int, DemandId | tuple[DemandId, ...]] = field(default_factory=dict)
    """Most keys have one demand, and there are twice as many as demands: then it stands there without a tuple."""

    def note(self, demand: DemandId, *keys: int) -> None:
        """Note what a demand asks for now, by keys of this module; what it asked for before stays."""
        for key in keys:
            known = self.of(key)
            if demand not in known:
                self._demands[key] = (*known, demand) if known else demand

    def forget(self, demand: DemandId, *keys: int) -> None:
        """Take back what was noted of a demand by these keys."""
        for key in keys:
            left = tuple(one for one in self.of(key) if one != demand)
            if left:
                self._demands[key] = left if len(left) > 1 else left[0]
            else:
                self._demands.pop(key, None)

    def of(self, key: int) -> tuple[DemandId, ...]:
        """Every demand, of any department, that was noted by this key; perhaps a few others."""
        found = self._demands.get(key, ())
        return found if isinstance(found, tuple) else (found,)


def same(record_type: RecordType, resource: str | None, fields: Iterable[str], scope: Hashable) -> int:
    """The key of demands for these fields of these rows."""
    return hash((record_type, resource, frozenset(fields), scope))


def same_end(record_type: RecordType, resource: str | None, scenario: str) -> int:
    """The key of demands of a resource for this scenario."""
    return hash((record_type, resource, plain(scenario)))


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """A text by which two are the same to a reader: its letters and digits, whatever their width and case."""
    return "".join(one for one in unicodedata.normalize("NFKC", text).casefold() if one.isalnum())

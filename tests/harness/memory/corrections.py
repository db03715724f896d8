"""Corrections in memory: what was written beside a ledger in memory, and registries to which a test adds versions."""

import json
from collections.abc import Mapping, Sequence

from exchange.broker.corrections.commands import ANSWER, DOUBT
from exchange.broker.corrections.store import Found, Sought, Written
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.ledger.state.correction import CorrectionEntry
from exchange.names import Department, RecordType, correction_topic
from tests.harness.memory.ledger import MemoryLedger


class MemoryCorrections:
    """Does what `exchange.broker.corrections.store.KafkaCorrections` does. A registry has one partition."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self.registry: dict[RecordType, list[bytes]] = {}
        """The keys of the versions of each registry, in their order."""
        self.without_topic: set[Department] = set()
        self.unreadable: set[str] = set()
        """Corrections whose topic gives an error."""
        self.looked: list[int] = []
        """Where each look for a version began."""

    def end_of(self, record_type: RecordType, key: bytes) -> tuple[int, int]:
        """The one partition and its end."""
        return 0, len(self.registry.get(record_type, ()))

    def check_topic(self, department: Department) -> None:
        """Missing where the test says so."""
        if department in self.without_topic:
            raise ExchangeError("E_KAFKA_TOPIC_MISSING")

    def written(self, entry: CorrectionEntry, deadline: Deadline) -> Written:
        """What stands beside the ledger."""
        if entry.correction in self.unreadable:
            raise ExchangeError("E_KAFKA_UNREACHABLE")
        kept = [json.loads(one.value or b"{}") for one in self._ledger.beside if self._is_of(entry, one.topic, one.key)]
        doubt = _first(kept, DOUBT)
        return Written(doubt.get("key"), doubt.get("words"), _first(kept, ANSWER).get("words"))

    def versions(self, sought: Sequence[Sought], deadline: Deadline) -> Found:
        """What the test added to the registries."""
        self.looked += [one.start for one in sought]
        offsets, starts = {}, {}
        for one in sought:
            versions = self.registry.get(one.record_type, [])
            newer = [at for at, key in enumerate(versions) if key == one.key and at >= one.start]
            if newer:
                offsets[one.correction] = newer[0]
            else:
                starts[one.correction] = max(one.start, len(versions))
        return Found(offsets, starts)

    def _is_of(self, entry: CorrectionEntry, topic: str, key: bytes | None) -> bool:
        return topic == correction_topic(entry.kept_by) and key == entry.correction.encode()


def _first(kept: Sequence[Mapping[str, str]], kind: str) -> Mapping[str, str]:
    return next((one for one in kept if one["kind"] == kind), {})

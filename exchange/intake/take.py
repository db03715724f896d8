"""The steps of a page: decide ▸ write ahead ▸ submit ▸ book. Killed at any moment, the next start makes it right."""

import threading

import structlog

from exchange.connect.reading import Cursor, FaultyRow, SourceRow
from exchange.intake.decide import Decider
from exchange.intake.encode import Outgoing
from exchange.intake.memory.memory import Changes, Memory
from exchange.intake.page import Decisions, Reading
from exchange.intake.submit import Submitter
from exchange.names import RecordType
from exchange.observe import metrics
from exchange.stages import Stage

_log = structlog.get_logger("exchange.intake")


class Taker:
    """Takes pages of one source."""

    def __init__(self, decider: Decider, memory: Memory, submitter: Submitter, record_type: RecordType) -> None:
        self._decider = decider
        self._memory = memory
        self._submitter = submitter
        self._record_type = record_type
        self.spoke = False
        """Whether records were sent, which are a sign of life, since somebody looked."""
        self.turns = False
        """Whether a row that was set aside could be sent now, because the natural key that it wants was withdrawn."""

    def take(
        self,
        rows: list[SourceRow | FaultyRow],
        stop: threading.Event,
        reading: Reading | None = None,
        cursor: Cursor | None = None,
    ) -> bool:
        """Take the rows of a page, and move the cursor. False when `stop` came before Kafka had all.

        reading: the whole reading that brings them.
        """
        return self._do(self._decider.decide(rows, reading), stop, cursor)

    def withdraw(self, ids: list[int], stop: threading.Event) -> bool:
        """Withdraw rows that are gone, by their ids in the memory. False when `stop` came before Kafka had all."""
        return self._do(self._decider.withdraw(ids), stop)

    def settle_gone(self, identities: list[str], stop: threading.Event) -> bool:
        """Rows that were set aside are no longer in the source. False when `stop` came before Kafka had all."""
        return self._do(self._decider.settle_gone(identities), stop)

    def resume(self, stop: threading.Event) -> bool:
        """Send once more what may not have reached Kafka when a process ended. False when `stop` came first."""
        withdrawals = [Outgoing(key.encode("ascii"), None, sequence) for key, sequence in self._memory.on_their_way]
        if not self._submitter.submit(withdrawals, [], stop):
            return False
        self._memory.book(Changes(submitted=len(withdrawals)))
        return True

    def _do(self, decisions: Decisions, stop: threading.Event, cursor: Cursor | None = None) -> bool:
        changes = decisions.changes
        self._memory.write_ahead(changes.rows)
        if not self._submitter.submit(decisions.records, decisions.faults, stop):
            return False
        self._memory.book(changes, cursor)
        self.spoke = self.spoke or bool(decisions.records)
        self.turns = self.turns or self._memory.waiting.for_natural_keys(decisions.freed)
        self._count(changes)
        return True

    def _count(self, changes: Changes) -> None:
        submitted, unmapped = changes.submitted, changes.unmapped
        if not (submitted or unmapped):
            return
        for stage, outcome, number in (
            (Stage.INTAKE_COLLECT, "collected", submitted + unmapped),
            (Stage.INTAKE_SUBMIT, "submitted", submitted),
            (Stage.INTAKE_MAP, "unmapped", unmapped),
        ):
            metrics.count_records(stage, outcome, self._record_type, number)
        _log.info(
            "intake.page",
            stage=Stage.INTAKE_SUBMIT,
            collected=submitted + unmapped,
            submitted=submitted,
            unmapped=unmapped,
        )

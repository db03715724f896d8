"""Corrections at the broker service: what the API asks, and the leader's watch for corrected versions."""

from dataclasses import dataclass, field
from typing import TypeVar

from exchange.broker.corrections.commands import (
    AnswerCorrection,
    CloseCorrection,
    SubmitCorrection,
    checked_key,
    correction_of,
    doubtful,
    keeper_of,
    words_of,
)
from exchange.broker.corrections.store import CorrectionStore, Sought, Written
from exchange.broker.seams import Ledger
from exchange.clock import Clock, Deadline
from exchange.errors import ExchangeError
from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result
from exchange.names import CorrectionId, Department
from exchange.observe.logs import get_logger

T = TypeVar("T")
_LOOK_SECONDS = 8.0
_COMMAND_SECONDS = 15.0
"""Together less than a client waits for an answer."""
_EXCHANGE = "exchange"
_log = get_logger("exchange.corrections")


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a grantee doubts."""

    grant: str
    fields: tuple[str, ...]
    key: str = field(repr=False)
    words: str = field(repr=False)


class Corrections:
    """The corrections of all departments. Safe for any number of threads, but for `watch`, which one thread uses."""

    def __init__(self, ledger: Ledger, store: CorrectionStore, clock: Clock) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._keys: dict[CorrectionId, bytes | None] = {}
        """Of the corrections that the watch waits for; None when the topic no longer has it."""
        self._starts: dict[CorrectionId, int] = {}
        """Of the same: from where the watch looks on."""

    def submit(self, doubt: Doubt, actor: str, command_id: str | None) -> str:
        """Submit a doubt of the department `actor`; the correction's id.

        Raises ExchangeError: as SubmitCorrection does, E_IDEMPOTENCY, E_NOT_LEADER, E_KAFKA_*.
        """
        if not self._ledger.leader:
            raise ExchangeError("E_NOT_LEADER")
        by, now = Department(str(actor)), self._clock.now()
        key, words = checked_key(doubt.key), words_of(doubt.words)
        grant = self._ledger.read(lambda state: doubtful(state, doubt.grant, by, doubt.fields))
        # A topic that is missing would end the leader's term with the transaction that fails.
        self._store.check_topic(self._ledger.read(lambda state: keeper_of(state, grant.terms.provider, now)))
        command = SubmitCorrection(
            grant=doubt.grant,
            by=by,
            fields=doubt.fields,
            key=doubt.key,
            words=words,
            place=self._store.end_of(grant.terms.record_type, key),
        )
        done = self._run(command, actor, command_id)
        if done.repeated:
            written = self.written(done.entities[0])
            if written.key is not None and (written.key, written.words) != (doubt.key, words):
                raise ExchangeError("E_IDEMPOTENCY")
        return done.entities[0]

    def answer(self, correction: str, answer: str, words: str, actor: str, command_id: str | None) -> None:
        """The department `actor` answers a doubt.

        Raises ExchangeError: as AnswerCorrection does, E_IDEMPOTENCY, E_NOT_LEADER.
        """
        by = Department(str(actor))
        self._run(AnswerCorrection(correction=correction, by=by, answer=answer, words=words), actor, command_id)

    def written(self, correction: str) -> Written:
        """Key and words of a correction: for its two parties alone. Raises ExchangeError: E_UNKNOWN_CORRECTION."""
        entry = self._ledger.read(lambda state: correction_of(state, correction))
        return self._store.written(entry, Deadline.after(_LOOK_SECONDS))

    def watch(self) -> None:
        """Close the answered corrections whose newer versions have come. For the leader."""
        awaited = self._ledger.read(_awaited)
        self._learn_keys(awaited)
        sought = [
            Sought(one.correction, one.record_type, one.partition, key, self._starts.get(one.correction, one.offset))
            for one in awaited
            if (key := self._keys.get(one.correction)) is not None
        ]
        if not sought:
            return
        found = self._store.versions(sought, Deadline.after(_LOOK_SECONDS))
        self._starts = found.starts
        for correction, offset in found.offsets.items():
            command = CloseCorrection(correction, offset)
            self._ledger.execute(command, _EXCHANGE, None, Deadline.after(_COMMAND_SECONDS))
            _log.info("corrections.closed", correction=correction)

    def _learn_keys(self, awaited: list[CorrectionEntry]) -> None:
        """Know the keys of those that are waited for. One that cannot be read keeps no other waiting."""
        self._keys = {one.correction: self._keys[one.correction] for one in awaited if one.correction in self._keys}
        for one in awaited:
            if one.correction in self._keys:
                continue
            try:
                key = self._store.written(one, Deadline.after(_LOOK_SECONDS)).key
            except ExchangeError as error:
                _log.warning("corrections.unread", correction=one.correction, code=error.code, detail=error.detail)
                continue
            if key is None:
                _log.warning("corrections.key-lost", correction=one.correction)
            self._keys[one.correction] = None if key is None else key.encode()

    def _run(self, command: Command, actor: str, command_id: str | None) -> Result:
        return self._ledger.execute(command, actor, command_id, Deadline.after(_COMMAND_SECONDS))


def _awaited(state: LedgerState) -> list[CorrectionEntry]:
    """The corrections that are closed by the next version of their record."""
    return [one for one in state.corrections.values() if one.closed is None and one.answered is not None]

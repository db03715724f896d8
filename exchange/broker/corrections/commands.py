"""Commands on corrections (校核纠错, Order 809, art. 26): a grantee doubts a record, its provider answers in 10 days.

The ledger says that there is a doubt, about which fields of which grant, and what came of it. Which record it is, and
the words of both sides, are written beside the event, in the same transaction, into the provider's correction topic.
The grant goes on meanwhile: business does not wait for a correction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.broker.demands.clocks import StatutoryClock, clock
from exchange.broker.demands.state import acts_for, running
from exchange.broker.departments.succession import heir_of
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside, NewEvent
from exchange.ledger.state.correction import ANSWERS, RIGHT, CorrectionEntry
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import said
from exchange.names import HEARTBEAT_KEY, CorrectionId, Department, correction_topic

CORRECTION_DAYS = 10
"""Working days for the answer to a correction (Order 809, art. 26)."""
MOST_WORDS = 2_000
MOST_KEY_BYTES = 500
DOUBT, ANSWER = "doubt", "answer"
"""What a record of a correction topic is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitCorrection:
    """A grantee doubts fields of one record that a grant gives it. Entity of the result: the correction's id.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_ROLE, E_GRANT_STATE, E_UNKNOWN_FIELD, E_CORRECTION_PSEUDONYM,
    E_CORRECTION_REASON, E_REQUEST.
    """

    grant: str
    by: Department
    fields: tuple[str, ...]
    key: str = field(compare=False, repr=False)
    """The record's natural key, as the share has it. It takes no part in the digest of an idempotency key."""
    words: str = field(compare=False, repr=False)
    place: tuple[int, int] = field(compare=False)
    """(partition, offset) in the registry from which on a version of the key is newer."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `correction-submitted`, with key and words beside it."""
        grant = doubtful(state, self.grant, self.by, self.fields)
        keeper = keeper_of(state, grant.terms.provider, now)
        correction = CorrectionId(f"c-{state.seq + 1}")
        data = {
            "correction": correction,
            "grant": grant.grant,
            "demand": grant.demand,
            "demander": state.demands[grant.demand].demander,
            "provider": grant.terms.provider,
            "record_type": grant.terms.record_type,
            "fields": list(self.fields),
            "kept_by": keeper,
            "partition": self.place[0],
            "offset": self.place[1],
        }
        written = {"key": checked_key(self.key).decode(), "words": words_of(self.words), "fields": list(self.fields)}
        beside = _beside(keeper, DOUBT, correction, {**written, "record_type": grant.terms.record_type})
        return (NewEvent("correction-submitted", correction, data, (beside,)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCorrection:
    """The provider answers: it corrects the record, withdraws it, or found it right as it is, with words why.

    Entity of the result: the correction. Raises ExchangeError: E_UNKNOWN_CORRECTION, E_ROLE, E_CORRECTION_STATE,
    E_CORRECTION_REASON, E_REQUEST.
    """

    correction: str
    by: Department
    answer: str
    """One of exchange.ledger.state.correction.ANSWERS."""
    words: str = field(compare=False, repr=False, default="")

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `correction-answered`, with the words beside it."""
        entry = correction_of(state, self.correction)
        if not acts_for(state, self.by, entry.provider):
            raise ExchangeError("E_ROLE", "only the provider of a record answers a correction of it")
        if entry.answered is not None:
            raise ExchangeError("E_CORRECTION_STATE", "the correction has been answered")
        if self.answer not in ANSWERS:
            raise ExchangeError("E_REQUEST", f"answer: one of {', '.join(ANSWERS)}")
        words = words_of(self.words) if self.answer == RIGHT or self.words else ""
        data = {"correction": entry.correction, "grant": entry.grant, "answer": self.answer}
        beside = _beside(entry.kept_by, ANSWER, entry.correction, {"answer": self.answer, "words": words})
        return (NewEvent("correction-answered", entry.correction, data, (beside,)),)


@dataclass(frozen=True, slots=True)
class CloseCorrection:
    """Say that a newer version of the record has come. Nothing when that is said.

    Raises ExchangeError: E_UNKNOWN_CORRECTION, E_CORRECTION_STATE before an answer.
    """

    correction: str
    offset: int
    """Of that version, in its partition of the registry."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `correction-closed`."""
        entry = correction_of(state, self.correction)
        if entry.closed is not None:
            return ()
        if entry.answered is None:
            raise ExchangeError("E_CORRECTION_STATE", "the correction has not been answered")
        place = {"partition": entry.partition, "offset": self.offset}
        about = {"correction": entry.correction, "grant": entry.grant}
        return said("correction-closed", entry.correction, **about, **place)


def correction_of(state: LedgerState, correction: str) -> CorrectionEntry:
    """The correction with this id. Raises ExchangeError(E_UNKNOWN_CORRECTION)."""
    found = state.corrections.get(CorrectionId(correction))
    if found is None:
        raise ExchangeError("E_UNKNOWN_CORRECTION")
    return found


def correction_clock(entry: CorrectionEntry, now: datetime) -> StatutoryClock:
    """The statutory clock of a correction: it stops with the answer, not with the corrected record."""
    return clock(entry.submitted, CORRECTION_DAYS, entry.answered, now)


def doubtful(state: LedgerState, grant: str, by: Department, fields: Sequence[str]) -> GrantEntry:
    """The grant, when `by` holds it and may doubt these fields of its records.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_ROLE, E_GRANT_STATE, E_UNKNOWN_FIELD, E_CORRECTION_PSEUDONYM.
    """
    found = running(state, grant)
    if not acts_for(state, by, state.demands[found.demand].demander):
        raise ExchangeError("E_ROLE", "only the department that holds a grant doubts its records")
    if found.activated is None:
        raise ExchangeError("E_GRANT_STATE", "the grant has given no record yet")
    if found.terms.pseudonymous:
        raise ExchangeError("E_CORRECTION_PSEUDONYM")
    if not fields or not set(fields) <= set(found.terms.fields):
        raise ExchangeError("E_UNKNOWN_FIELD", "name at least one field, and only fields that the grant gives")
    return found


def keeper_of(state: LedgerState, provider: Department, now: datetime) -> Department:
    """In whose topic a new correction of a provider's records is kept: its own, or that of its one successor."""
    return heir_of(state, provider, now) or provider


def checked_key(key: str) -> bytes:
    """A natural key as Kafka has it. Raises ExchangeError(E_REQUEST) for none, and for what can be none."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raw = b""
    if not 0 < len(raw) <= MOST_KEY_BYTES or raw == HEARTBEAT_KEY:
        raise ExchangeError("E_REQUEST", f"key: the natural key of one record, 1 to {MOST_KEY_BYTES} bytes")
    return raw


def words_of(words: str) -> str:
    """What somebody says, when it is something. Raises ExchangeError(E_CORRECTION_REASON)."""
    if not words.strip() or len(words) > MOST_WORDS:
        raise ExchangeError("E_CORRECTION_REASON")
    return words.strip()


def _beside(keeper: Department, kind: str, correction: CorrectionId, written: Mapping[str, object]) -> Beside:
    """The record of a correction topic: its key is the correction's id, its value JSON."""
    value = json.dumps({"kind": kind, "correction": correction, **written}).encode()
    headers = [("content-type", b"application/json"), ("ce_type", b"exchange.correction.%b" % kind.encode())]
    return Beside(correction_topic(keeper), 0, correction.encode(), value, headers)

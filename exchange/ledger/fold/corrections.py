"""The fold of events on corrections: submitted, answered, closed by a newer version of the record."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from exchange.ledger.state.correction import RIGHT, CorrectionEntry
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import CorrectionId, Department, GrantId

_Data = Mapping[str, Any]


def _submitted(state: LedgerState, data: _Data, at: datetime) -> None:
    grant = state.grants[GrantId(data["grant"])]
    correction = CorrectionId(data["correction"])
    if correction in state.corrections:
        raise ValueError("a correction is submitted once")
    state.corrections[correction] = CorrectionEntry(
        correction=correction,
        grant=grant.grant,
        demand=grant.demand,
        provider=grant.terms.provider,
        record_type=grant.terms.record_type,
        fields=tuple(data.get("fields", ())),
        kept_by=Department(data.get("kept_by", grant.terms.provider)),
        partition=int(data.get("partition", 0)),
        offset=int(data.get("offset", 0)),
        submitted=at,
    )


def _answered(state: LedgerState, data: _Data, at: datetime) -> None:
    """The first answer holds."""
    correction = state.corrections[CorrectionId(data["correction"])]
    if correction.answered is None:
        correction.answered, correction.answer = at, data.get("answer")
        correction.closed = at if correction.answer == RIGHT else None


def _closed(state: LedgerState, data: _Data, at: datetime) -> None:
    correction = state.corrections[CorrectionId(data["correction"])]
    correction.closed, correction.version = at, int(data["offset"])


CORRECTION_HANDLERS: Mapping[str, Callable[[LedgerState, _Data, datetime], None]] = {
    "correction-submitted": _submitted,
    "correction-answered": _answered,
    "correction-closed": _closed,
}
"""How each event on corrections changes the state."""

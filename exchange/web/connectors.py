"""What the API shows of connectors: counts and moments that departments state of themselves, nothing of their rows."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from exchange.broker.evidence.said import Said, Source
from exchange.clock import format_time
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.state.ownership import heirs
from exchange.names import Department

Json = dict[str, Any]


def of_grant(said: Said, state: LedgerState, entry: GrantEntry) -> Json:
    """The sources that a grant is served from, and its sink; null while the sink has said nothing."""
    providers = providers_of(state, entry)
    sink = said.sinks.get(entry.grant)
    return {
        "sources": [_source(one) for one in said.of(entry.terms.record_type, providers)],
        "sink": None
        if sink is None
        else {"taken": sink.taken, "set_aside": sink.set_aside, "too_many_since": _time(sink.too_many_since)},
    }


def providers_of(state: LedgerState, entry: GrantEntry) -> Collection[Department]:
    """Whose records a grant gives: its provider's, and those of the departments that this was merged into."""
    return (entry.terms.provider, *heirs(entry.terms.provider, state))


def _source(one: Source) -> Json:
    report = one.report
    return {
        "department": one.department,
        "connector": report.connector,
        "state": report.state.value,
        "code": report.code,
        "since": format_time(report.since),
        "rows": report.rows,
        "set_aside": report.set_aside,
        "set_aside_since": _time(report.set_aside_since),
        "too_many_since": _time(one.too_many_since),
        "reported": format_time(report.at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)

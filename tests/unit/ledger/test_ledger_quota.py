"""One department does not fill the ledger that everybody has to read for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.departments.tokens import IssueToken
from exchange.catalogue.load import load
from exchange.ledger.fold.apply import fold
from exchange.ledger.store.decisions import LedgerQuotaError
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger, SetClock

EVENING = datetime(2026, 11, 24, 15, 59, tzinfo=UTC)
"""A minute before midnight in Asia/Shanghai."""
MOST = 5


def filled(who: str = "taxation") -> MemoryLedger:
    ledger = MemoryLedger(SetClock(EVENING), events_per_day=MOST)
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "exchange")
    for number in range(MOST):
        ledger.execute(IssueToken("auditor", None, f"digest-{number}"), who, f"key-{number}")
    return ledger


def test_a_department_writes_so_many_events_a_day_and_no_more() -> None:
    ledger = filled()
    seq = ledger.state.seq

    with pytest.raises(LedgerQuotaError, match="E_LEDGER_QUOTA") as refused:
        ledger.execute(IssueToken("auditor", None, "one-more"), "taxation")

    assert refused.value.seconds == 60
    assert ledger.state.seq == seq


def test_who_asks_again_or_changes_nothing_is_answered_beyond_the_bound() -> None:
    ledger = filled()

    assert ledger.execute(IssueToken("auditor", None, "digest-1"), "taxation", "key-1").repeated
    assert ledger.execute(IssueToken("auditor", None, "digest-1"), "taxation").entities == ()


def test_the_bound_of_one_department_is_nobody_elses() -> None:
    ledger = filled()

    for who in ("civil-affairs", "operator", "exchange"):
        assert ledger.execute(IssueToken("auditor", None, f"digest-of-{who}"), who).entities


def test_the_next_day_in_shanghai_begins_anew() -> None:
    ledger = filled()
    ledger.clock.moment += timedelta(minutes=1)

    assert ledger.execute(IssueToken("auditor", None, "one-more"), "taxation").entities


def test_the_operator_and_the_exchange_have_no_bound() -> None:
    ledger = filled("operator")

    assert ledger.execute(IssueToken("auditor", None, "one-more"), "operator").entities


def test_every_leader_counts_the_same() -> None:
    ledger = filled()

    assert fold(ledger.events).written == ledger.state.written
    assert ledger.state.written.of("taxation", EVENING) == MOST

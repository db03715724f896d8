"""A repetition across an upgrade is answered as before: what a key stands for does not change when a command learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import datetime
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.grants.amend import AmendGrant
from exchange.broker.grants.suspend import SuspendGrant
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, NewEvent
from exchange.ledger.fold.apply import COMMAND_DIGEST
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command, digest_of, said, stands_for
from exchange.names import Department
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

SCHEMAS = SchemaRepository.load(Settings().schemas)
MARKET = Department("market-regulation")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}
NAMED: Mapping[str, Any] = {"fields": ("a",), "masks": {"a": "first"}}
BEFORE: list[tuple[Command, str]] = [
    (
        SubmitDemand(
            demander=Department("taxation"),
            resource="102001/0001",
            fields=("credit_code", "name"),
            **STATED,
            schemas=SCHEMAS,
        ),
        "c287683ff93f644d256219c34fe6c097762e1829c8a40eecf7927d835ce7016f",
    ),
    (
        AmendGrant(grant="g-1", by=MARKET, reason="why", schemas=SCHEMAS),
        "8e1838b84f6e7ba2c5fa4f2360f2a170f568c91e092088bb523491f6c91191c9",
    ),
    (
        AmendGrant(grant="g-1", by=MARKET, reason="why", **NAMED, schemas=SCHEMAS),
        "8a18df9a99c92fa3ca28a2ee1537d4245d6511e302c59da58197cbe8561a42ec",
    ),
    (SuspendGrant("g-1", MARKET, "why"), "3e013fbdd5a8a72f96a2cc991faf4d1586054c93134a794d9f4d92b3b5f031fd"),
    (
        ConsentDemand(demand="d-1", by=Department("m"), schemas=SCHEMAS),
        "2d7aa49b310557c32fe22a8682ff9c1f2c9c65f3f17580bbea7f9c9fee75009c",
    ),
]
"""Commands, and their digests in ledgers that were written while defaults were a part of digests."""


@dataclass(frozen=True)
class Note:
    """A command of this test."""

    text: str
    marks: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, _state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        return said("secret-rotated", "x", department="x", text=self.text)


def learnt(*arguments: tuple[str, Any, Any]) -> Any:
    """The same command of a later release, with more optional arguments."""
    return make_dataclass("Note", arguments, bases=(Note,), frozen=True)


@pytest.mark.parametrize(("command", "digest"), BEFORE)
def test_a_key_of_an_older_ledger_stands_for_the_same_command(command: Command, digest: str) -> None:
    assert stands_for(digest, command)
    for other, _ in BEFORE:
        assert other is command or not stands_for(digest, other)


def test_a_repetition_of_what_an_older_ledger_holds_is_answered_as_then() -> None:
    command, digest = BEFORE[3]
    ledger = MemoryLedger()
    data: dict[str, Any] = {"grant": "g-1", "reason": "why", COMMAND_DIGEST: digest}
    first = ledger.execute(Note("x"))
    old = LedgerEvent(
        first.last + 1, "grant-suspended", "2026-11-24T08:00:00.000Z", MARKET, "g-1", "k", ledger.state.head, data
    )
    ledger.state.commands.note((MARKET, "k"), digest, old.seq, "g-1", old.moment)
    again = ledger.execute(command, MARKET, "k")
    assert (again.repeated, again.entities) == (True, ("g-1",))
    with pytest.raises(ExchangeError, match=r"^E_IDEMPOTENCY:"):
        ledger.execute(SuspendGrant("g-1", MARKET, "another reason"), MARKET, "k")


def test_a_command_that_learns_an_optional_argument_keeps_its_digest() -> None:
    later = learnt(("colour", str, ""), ("size", int, 1))
    assert digest_of(later("a text")) == digest_of(Note("a text"))
    assert digest_of(later("a text", colour="red")) != digest_of(Note("a text"))


def test_what_a_command_has_learnt_since_an_older_ledger_is_left_out_by_trial() -> None:
    for command, digest in BEFORE:
        if isinstance(command, SuspendGrant):
            later = make_dataclass("SuspendGrant", [("how_long", int, 0)], bases=(SuspendGrant,), frozen=True)
            assert stands_for(digest, later("g-1", MARKET, "why"))
            assert not stands_for(digest, later("g-1", MARKET, "why", how_long=3))


def test_a_mutable_default_is_a_default() -> None:
    assert digest_of(Note("a", {})) == digest_of(Note("a")) != digest_of(Note("a", {"b": "c"}))

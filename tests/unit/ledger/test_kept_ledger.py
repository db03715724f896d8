"""A ledger that an earlier version wrote: whole, folded as then, and a repeated command is answered as before."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.commands import AnswerCorrection, SubmitCorrection
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment, RotateSecret
from exchange.broker.departments.tokens import IssueToken, RevokeToken
from exchange.broker.grants.shares import OrderRecovery
from exchange.broker.grants.use import RecordUse
from exchange.broker.quarantine.commands import Asked, Chosen, DiscardQuarantined, RedriveQuarantined
from exchange.clock import SystemClock
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, read_lines, write_line
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import fold
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Decisions
from exchange.ledger.verify import Head, verify
from exchange.names import Department
from exchange.settings import Settings

KEPT = Path(__file__).parent / "fixtures" / "kept-ledger.jsonl"
HEAD = Head(733, "4f2de6e7537b242307f9bcca4c8e555003485eccad9af15efad7e7f8094653ca")
BY = Department("natural-resources")
SCHEMAS = SchemaRepository.load(Settings().schemas)


@pytest.fixture(scope="module")
def events() -> list[LedgerEvent]:
    with KEPT.open(encoding="utf-8") as file:
        return list(read_lines(file))


def repeated() -> Iterator[tuple[str, str, Command]]:
    """(actor, idempotency key, command) as they were sent when the ledger was written."""
    yield "operator", "again-recovery", OrderRecovery("g-131")
    yield "operator", "again-token", IssueToken("auditor", None, "a" * 64, 90)
    yield "operator", "again-revoked", RevokeToken("t-719")
    yield "operator", "again-department", AddDepartment(BY)
    yield "operator", "again-secret", RotateSecret(BY)
    use = RecordUse(
        grant="g-130",
        by=BY,
        scenario="开办企业核验",
        process="比对统一社会信用代码",
        effect="一次办结",
        storage="不留存",
    )
    yield BY, "again-use", use
    yield "operator", "again-discard", DiscardQuarantined(BY, None, Asked(code="E_FIELD"), "源头已更正", Chosen())
    yield "operator", "again-redrive", RedriveQuarantined(BY, None, Asked(), Chosen())
    demand = SubmitDemand(
        demander=BY,
        resource="101001/0001",
        fields=("birth_date",),
        legal_basis="《政务数据共享条例》第十三条",
        scenario="老账本重试",
        use_scope="窗口核验",
        mode="data-replication",
        schemas=SCHEMAS,
    )
    yield BY, "again-demand", demand
    doubt = SubmitCorrection(grant="g-130", by=BY, fields=("certificate_number",), key="k", words="w", place=(0, 0))
    yield BY, "again-doubt", doubt
    yield (
        "health",
        "again-answer",
        AnswerCorrection(correction="c-727", by=Department("health"), answer="corrected"),
    )


def test_it_is_whole(events: list[LedgerEvent]) -> None:
    assert verify(events, HEAD) == HEAD


def test_it_is_folded_without_a_rest_and_exported_as_it_was(events: list[LedgerEvent]) -> None:
    assert fold(events).unread == 0
    assert "".join(map(write_line, events)) == KEPT.read_text(encoding="utf-8")


def test_it_passes_through_kafka_as_it_is(events: list[LedgerEvent]) -> None:
    codec = EventCodec(SCHEMAS)
    assert [codec.read(codec.encode(event), event.offset) for event in events] == events


def test_a_state_of_then_says_what_it_said(events: list[LedgerEvent]) -> None:
    """As the version that wrote the ledger counted it."""
    state = fold(events)
    counts = {
        "departments": len(state.departments),
        "demands": len(state.demands),
        "awaiting": len(state.awaiting),
        "grants": len(state.grants),
        "running": len(state.running),
        "shares": len(state.shares),
        "corrections": len(state.corrections),
        "next_schema_id": state.next_schema_id,
    }
    assert counts == json.loads(KEPT.with_suffix(".counts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("actor", "key", "command"), list(repeated()), ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_repeated_command_is_answered_as_before(
    actor: str, key: str, command: Command, events: list[LedgerEvent]
) -> None:
    written = [event for event in events if (event.actor, event.command_id) == (actor, key)]
    decisions = Decisions(SystemClock(), fold(events), EventCodec(SCHEMAS).encode)

    answer = decisions.decide(command, actor, key)

    assert answer.repeated
    assert answer.entities == tuple(event.entity for event in written) != ()
    assert (answer.first, answer.last) == (written[0].seq, written[-1].seq)
    assert decisions.pending == []


def test_its_key_for_another_command_is_refused_as_before(events: list[LedgerEvent]) -> None:
    decisions = Decisions(SystemClock(), fold(events), EventCodec(SCHEMAS).encode)

    with pytest.raises(ExchangeError, match="E_IDEMPOTENCY"):
        decisions.decide(AddDepartment(BY), "operator", "again-secret")

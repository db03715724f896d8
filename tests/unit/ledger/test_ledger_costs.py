"""What keeps a ledger of a million events cheap, told by how things are kept and found, never by a clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.enforcement.wanted import wanted
from exchange.ledger.events import event as events_module
from exchange.ledger.events.event import LedgerEvent, write_line
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import apply, fold
from exchange.ledger.state.demand_history import DemandHistory, HistoryEntry
from exchange.ledger.state.demand_index import same, same_end
from exchange.ledger.state.idempotency_keys import KEY_KEPT, IdempotencyKeys
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import GrantId, ShareName
from exchange.settings import Settings
from tests.harness.ledger.years import ledger_of

EVENTS = 3_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = AT + timedelta(days=20_000)


class Consumed:
    """A record of the ledger as the client gives it."""

    def __init__(self, value: bytes, offset: int) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def offset(self) -> int:
        return self._offset


@pytest.fixture(scope="module")
def ledger() -> list[LedgerEvent]:
    """A ledger as it is read from Kafka."""
    codec = EventCodec(SchemaRepository.load(Settings().schemas))
    written = ledger_of(EVENTS)
    return [codec.decode(Consumed(codec.encode(event), event.seq - 1)) for event in written]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def state(ledger: list[LedgerEvent]) -> LedgerState:
    return fold(ledger)


def kept(values: Iterable[object]) -> int:
    """How many objects there are among these."""
    return len({id(value) for value in values})


def test_every_event_of_the_bench_is_known(state: LedgerState) -> None:
    assert (state.seq, state.unread) == (EVENTS, 0)
    assert state.grants and state.shares


def test_every_line_of_an_export_goes_the_fast_way(ledger: list[LedgerEvent]) -> None:
    assert all(events_module._as_written(write_line(event)) == event for event in ledger)


def test_names_of_events_and_actors_are_kept_once(ledger: list[LedgerEvent]) -> None:
    assert kept(event.event for event in ledger) == len({event.event for event in ledger})
    assert kept(event.actor for event in ledger) == len({event.actor for event in ledger})


def test_what_repeats_in_demands_grants_and_shares_is_kept_once(state: LedgerState) -> None:
    demands, shares = state.demands.values(), state.shares.values()
    for values in (
        [one.fields for one in demands],
        [one.record_type for one in demands],
        [one.details["legal_basis"] for one in demands],
        [grant.granted for grant in state.grants.values()],
    ):
        assert kept(values) == len(set(values)) < len(values)
    assert kept(share.schema for share in shares) == len({str(share.schema) for share in shares}) < len(shares)
    assert all(state.grants[one].terms is state.shares[share].terms for one, share in placed(state))


def placed(state: LedgerState) -> list[tuple[GrantId, ShareName]]:
    return [(grant.grant, grant.share) for grant in state.grants.values() if grant.share is not None]


def test_history_is_two_numbers_an_event_and_loses_nothing() -> None:
    history, entries = DemandHistory(), []
    for seq in range(1, 50):
        at = AT + timedelta(microseconds=seq * 1_234_567)
        entries.append(HistoryEntry(seq, f"event-{seq % 3}", at, f"actor-{seq % 7}"))
        history.add(seq, entries[-1].event, at, entries[-1].actor)

    assert list(history) == entries
    assert (len(history), history[-1], history[0]) == (49, entries[-1], entries[0])
    assert len(history._packed) * history._packed.itemsize == 49 * 16
    with pytest.raises(IndexError):
        history[49]


def test_key_is_known_for_thirty_days_and_forgotten_after_sixty() -> None:
    done = IdempotencyKeys()
    done.note(("a", "old"), "digest", 1, "d-1", AT)
    done.note(("a", "soon"), "digest", 2, "d-2", AT + KEY_KEPT - timedelta(seconds=1))
    done.note(("a", "new"), "digest", 3, "d-3", AT + KEY_KEPT)

    assert all(("a", key) in done for key in ("old", "soon", "new"))

    done.note(("a", "newest"), "digest", 4, "d-4", AT + 2 * KEY_KEPT)

    assert [key for key in ("old", "soon", "new", "newest") if ("a", key) in done] == ["new", "newest"]
    found = done.get(("a", "new"))
    assert found is not None
    assert (found.first, found.entities) == (3, ("d-3",))


def test_command_of_several_events_is_remembered_as_one_also_in_the_old_generation() -> None:
    done = IdempotencyKeys()
    done.note(("a", "key"), "digest", 1, "d-1", AT)
    done.note(("b", "key"), "digest", 2, "d-2", AT + KEY_KEPT)
    done.note(("a", "key"), "", 3, "g-1", AT + KEY_KEPT)

    found = done.get(("a", "key"))

    assert found is not None
    assert (found.digest, found.first, found.last, found.entities) == ("digest", 1, 3, ("d-1", "g-1"))


def test_demand_is_compared_only_with_those_that_ask_for_the_same(state: LedgerState) -> None:
    for demand in list(state.demands.values())[:100]:
        asked = (demand.record_type, demand.resource)
        for key in (same(*asked, reversed(demand.fields), demand.scope), same_end(*asked, demand.details["scenario"])):
            found = state.alike.of(key)

            assert demand.demand in found
            assert len(found) < 3


def test_event_that_is_said_to_change_nothing_in_kafka_changes_nothing_that_is_wanted(
    ledger: list[LedgerEvent],
) -> None:
    state, passed, enforced = LedgerState(), set(), set()
    for event in ledger:
        known = event.event in passed or event.event in enforced
        before, seen = None if known else wanted(state, LATER, 1), state.enforced
        apply(state, event)
        if state.enforced == event.seq:
            enforced.add(event.event)
            continue
        passed.add(event.event)
        assert state.enforced == seen
        assert known or wanted(state, LATER, 1) == before, event.event
    assert {"demand-submitted", "freshness-broken", "use-recorded"} <= passed
    assert {"demand-consented", "share-created", "grant-activated"} <= enforced

"""Clocks that step, of a leader and of admission: what has ended stays ended, what has begun stays begun."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from exchange.broker.demands.clocks import clocks
from exchange.kafka.admin.admin import Acl
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.ledger.verify import verify
from exchange.names import Department, share_topic
from tests.harness.kafka.broker import Bus, prepared_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
TAX, MARKET = Department("taxation"), Department("market-regulation")


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with prepared_kafka(Path(tmp_path_factory.mktemp("kafka"))) as kafka:
        bus = Bus(kafka)
        bus.ledger.clock.moment = datetime.now(UTC)
        bus.register(TAX, MARKET)
        yield bus


def rights(bus: Bus, grant: GrantEntry) -> set[Acl]:
    assert grant.share is not None
    return {acl for acl in bus.admin.acls() if acl.principal == TAX and acl.name == share_topic(grant.share)}


def test_grant_neither_ends_early_nor_comes_back_when_the_leaders_clock_steps(bus: Bus) -> None:
    clock = bus.ledger.clock
    begin, end = clock.now() + timedelta(hours=1), clock.now() + timedelta(days=2)
    grant = bus.grant(TAX, use_from=begin, use_until=end)
    bus.settle()
    assert rights(bus, grant) == set(), "its period has not begun"

    clock.forward(hours=1.5)
    bus.settle()
    assert rights(bus, grant)

    clock.forward(hours=-1)
    bus.settle()
    assert rights(bus, grant), "a clock that steps back takes nothing from a grant that is active"

    clock.forward(days=3)
    bus.settle()
    assert grant.ended is not None
    assert rights(bus, grant) == set()

    clock.forward(days=-3)
    bus.settle()
    assert grant.ended is not None
    assert rights(bus, grant) == set(), "a clock that steps back gives nothing to a grant that has ended"


def test_ledger_goes_forward_whatever_the_clocks_of_its_leaders_say(bus: Bus) -> None:
    clock = bus.ledger.clock
    grant = bus.grant(TAX)
    demand = bus.ledger.state.demands[grant.demand]
    due = clocks(bus.ledger.state, demand, clock.now())
    for hours, field in ((5, "region"), (-30, "status"), (2, "approved"), (-100, "established"), (50, "address")):
        clock.forward(hours=hours)
        bus.grant(TAX, fields=("credit_code", field))

    for before, event in pairwise(bus.ledger.events):
        assert event.moment >= before.moment
    assert verify(bus.ledger.events).seq == bus.ledger.state.seq
    again = clocks(bus.ledger.state, demand, clock.now())
    assert (again.reply and again.reply.due) == (due.reply and due.reply.due)

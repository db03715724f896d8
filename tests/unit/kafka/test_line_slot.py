"""When a unit that failed is built again."""

import time

from exchange.kafka.client.connection import Connection
from exchange.kafka.line.slot import Slot, SlotState
from exchange.kafka.line.unit import UnitId
from exchange.names import RecordType


def slot() -> Slot:
    nowhere = Connection("127.0.0.1:1", "PLAINTEXT", "", "somebody", None, "")
    return Slot(UnitId(RecordType("population.resident"), 0), "admission", nowhere)


def test_a_unit_that_fails_again_and_again_is_left_alone_for_longer_and_longer() -> None:
    one = slot()
    pauses = [one.fail(away=False) for _ in range(2_000)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(pauses) == pauses[-1] == 30
    assert one.state is SlotState.WAITING
    assert 29 < one.since - time.monotonic() <= 30


def test_a_unit_is_built_soon_after_an_outage_however_long_it_was() -> None:
    one = slot()
    assert max(one.fail(away=True) for _ in range(2_000)) == 2

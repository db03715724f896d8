"""Workers, publishers and Kafka broken at random over a flow into eight shares: the recount finds nothing wrong.

The short form runs by default; `pytest -m fault -n 2 tests/fault` runs the long ones. EXCHANGE_FAULT_SEED repeats a
run; EXCHANGE_FAULT_VERSIONS and EXCHANGE_FAULT_ROUNDS change how long the long form is.
"""

from typing import Any

import pytest

pytestmark = pytest.mark.kafka


def test_kills_lose_double_and_reorder_nothing(inject_faults: Any) -> None:
    inject_faults(nodes=1, rounds=3, versions=5_000, rate=1_000)


@pytest.mark.fault
def test_rounds_of_every_fault_lose_double_and_reorder_nothing(inject_faults: Any) -> None:
    inject_faults(nodes=1, rate=1_500)

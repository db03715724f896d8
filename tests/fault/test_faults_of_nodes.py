"""As test_faults, on three nodes of Kafka, one of which is killed each few rounds."""

from typing import Any

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.fault]


def test_killed_nodes_of_kafka_lose_double_and_reorder_nothing_either(inject_faults: Any) -> None:
    inject_faults(nodes=3, rate=1_200)

"""How much memory the processes of a running province take."""

import pytest

from tests.harness.kafka.province import SINKS, SOURCES, Province
from tests.harness.process_memory import memory_of

pytestmark = pytest.mark.kafka
MEGABYTE = 1_000_000


def test_the_broker_service_and_the_connectors_stay_small(province: Province) -> None:
    limits = {"serve": 150 * MEGABYTE} | dict.fromkeys((*SOURCES, *SINKS), 100 * MEGABYTE)
    taken = {name: memory_of(province.platform.children.pid(name)) for name in province.platform.children.names()}
    for name, sizes in taken.items():
        print(f"{name:32} now {sizes.now / MEGABYTE:6.1f} MB, at most {sizes.most / MEGABYTE:6.1f} MB")
    too_large = {name: taken[name] for name, limit in limits.items() if taken[name].most >= limit}
    assert not too_large

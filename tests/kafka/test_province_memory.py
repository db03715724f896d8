"""How much memory the processes of a running province take."""

from pathlib import Path

import pytest

from exchange.testing.province import SINKS, SOURCES, Province

pytestmark = pytest.mark.kafka
MEGABYTE = 1_000_000


def memory(pid: int) -> dict[str, int]:
    """Resident memory of a process in bytes: now (`VmRSS`) and at most so far (`VmHWM`)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}


def test_the_broker_service_and_the_connectors_stay_small(province: Province) -> None:
    limits = {"serve": 150 * MEGABYTE} | dict.fromkeys((*SOURCES, *SINKS), 100 * MEGABYTE)
    taken = {name: memory(province.platform.children.pid(name)) for name in province.platform.children.names()}
    for name, sizes in taken.items():
        print(f"{name:32} now {sizes['VmRSS'] / MEGABYTE:6.1f} MB, at most {sizes['VmHWM'] / MEGABYTE:6.1f} MB")
    too_large = {name: taken[name] for name, limit in limits.items() if taken[name]["VmHWM"] >= limit}
    assert not too_large

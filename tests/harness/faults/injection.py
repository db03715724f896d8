"""Faults injected into a flow, the calm after them and the recount: what every test of the suite does."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.harness.faults.gaps import GapReader
from tests.harness.faults.harness import PARTITIONS, FaultHarness, running
from tests.harness.faults.plan import Plan
from tests.harness.faults.schedule import FaultSchedule, waits_after

_KEYS_OF = 40
_FEWEST_KEYS = 400
_JOIN_SECONDS = 120.0
_CALM_SECONDS = 300.0


class Progress(Protocol):
    """How far the lines are."""

    def joined(self, late: bool) -> bool:
        """Whether the shares, with or without the late ones, are in the live flow."""
        ...

    def done(self, plan: Plan) -> bool:
        """Whether every version has been taken by everyone."""
        ...


@dataclass(frozen=True, slots=True)
class Judges:
    """Those who look at what came of it, without the product."""

    recount: Callable[[FaultHarness, Plan], Any]
    """Has `faults`, `sums` and `report()`."""
    progress: Callable[[FaultHarness], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class FaultRun:
    """How hard, and for how long."""

    seed: int
    nodes: int
    rounds: int
    versions: int
    rate: int
    """Versions published a second."""


def inject(fault_run: FaultRun, folder: Path, judges: Judges) -> Any:
    """The recount after the faults; everything worth knowing is told as it happens."""
    keys = max(_FEWEST_KEYS, fault_run.versions // _KEYS_OF)
    plan = Plan(fault_run.seed, fault_run.versions, keys)
    began = time.monotonic()
    _tell(f"\n{fault_run}, {keys} keys")
    with running(folder, fault_run.nodes) as harness, judges.progress(harness) as books:
        harness.workers.until(lambda: books.joined(late=False), _JOIN_SECONDS, "the first shares")
        harness.start_publisher(fault_run.seed, fault_run.versions, keys, fault_run.rate)
        with GapReader(harness.connection, "names", PARTITIONS) as reader:
            schedule = FaultSchedule(harness, fault_run.seed, fault_run.rounds, fault_run.versions)
            schedule.run()
            harness.workers.until(lambda: books.done(plan), _CALM_SECONDS, "the end of the flow")
        flowed = time.monotonic()
        found = judges.recount(harness, plan)
        recounted = time.monotonic()
    _tell(found.report())
    _tell(f"  faults: {dict(sorted(schedule.counts.items()))}; ended by themselves: {harness.workers.ended()}")
    _tell(f"  longest waits of a reader after each kind of fault: {dict(waits_after(schedule, reader.gaps))}")
    _tell(
        f"  {fault_run}: flow {flowed - began:.0f} s, recount {recounted - flowed:.0f} s, "
        f"{sum(found.faults.values())} wrong"
    )
    return found


def _tell(what: str) -> None:
    print(what, flush=True)

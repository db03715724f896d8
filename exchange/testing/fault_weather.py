"""A storm over a flow, the calm after it and the recount: what the forms of the fault suite have in common."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exchange.testing.fault_gaps import GapReader
from exchange.testing.fault_ground import PARTITIONS, FaultGround, running
from exchange.testing.fault_plan import Plan
from exchange.testing.fault_storm import Storm, waits_after

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

    recount: Callable[[FaultGround, Plan], Any]
    """Has `faults`, `sums` and `report()`."""
    progress: Callable[[FaultGround], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class Weather:
    """How hard it storms."""

    seed: int
    nodes: int
    rounds: int
    versions: int
    rate: int
    """Versions published a second."""


def blow(weather: Weather, folder: Path, judges: Judges) -> Any:
    """The recount after a storm; everything worth knowing is told as it happens."""
    keys = max(_FEWEST_KEYS, weather.versions // _KEYS_OF)
    plan = Plan(weather.seed, weather.versions, keys)
    began = time.monotonic()
    _tell(f"\nfault {weather}, {keys} keys")
    with running(folder, weather.nodes) as ground, judges.progress(ground) as books:
        ground.workers.until(lambda: books.joined(late=False), _JOIN_SECONDS, "the first shares")
        ground.start_publisher(weather.seed, weather.versions, keys, weather.rate)
        with GapReader(ground.connection, "names", PARTITIONS) as reader:
            storm = Storm(ground, weather.seed, weather.rounds, weather.versions)
            storm.run()
            ground.workers.until(lambda: books.done(plan), _CALM_SECONDS, "the end of the flow")
        flowed = time.monotonic()
        found = judges.recount(ground, plan)
        recounted = time.monotonic()
    _tell(found.report())
    _tell(f"  faults: {dict(sorted(storm.counts.items()))}; ended by themselves: {ground.workers.ended()}")
    _tell(f"  longest waits of a reader after each kind of fault: {dict(waits_after(storm, reader.gaps))}")
    _tell(
        f"  {weather}: flow {flowed - began:.0f} s, recount {recounted - flowed:.0f} s, "
        f"{sum(found.faults.values())} wrong"
    )
    return found


def _tell(what: str) -> None:
    print(what, flush=True)  # noqa: T201

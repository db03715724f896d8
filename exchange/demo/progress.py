"""Watching the records travel: one bar for each record type and for each sink, until nothing is under way."""

import csv
import gzip
import io
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from exchange.clock import Deadline
from exchange.demo.flow import Counts, look
from exchange.demo.platform import Platform
from exchange.demo.story import FILE_SOURCE
from exchange.errors import Action, ExchangeError
from exchange.web.client import ApiClient

_PAUSE_SECONDS = 1.0
"""As often as the broker service of the demo looks at the books."""
_STALLED_SECONDS = 120.0

Sources = tuple[Mapping[str, str], Mapping[str, int], Path | None]
"""Record type by source connector; rows by source connector; the file of registrations."""


def follow(platform: Platform, operator: ApiClient, sources: Sources, before: Counts, stop: threading.Event) -> Counts:
    """The counts when every source has been read and everything taken has arrived.

    Raises ExchangeError(E_EMBEDDED) when a child was given up or nothing moves any more.
    """
    connectors, rows, file = sources
    expected = _expected(connectors, rows, file, before)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bars = _Bars(progress, expected)
        deadline = Deadline.after(_STALLED_SECONDS)
        last: Counts | None = None
        while not stop.is_set():
            platform.children.check()
            counts = _look(operator, platform, connectors)
            if counts is not None:
                bars.show(counts.since(before))
                if complete(counts, connectors, before) and counts.still and counts == last:
                    return counts
                if counts != last:
                    deadline = Deadline.after(_STALLED_SECONDS)
                last = counts
            if deadline.passed:
                raise ExchangeError("E_EMBEDDED", f"nothing moves any more; logs: {platform.places.logs}")
            time.sleep(_PAUSE_SECONDS)
    raise KeyboardInterrupt


def _look(operator: ApiClient, platform: Platform, connectors: Mapping[str, str]) -> Counts | None:
    """The counts; None while nobody leads, as after the loss of a Kafka node."""
    try:
        return look(operator, platform.places, connectors)
    except ExchangeError as error:
        if error.entry.action is not Action.RETRY:
            raise
        return None


def _expected(
    connectors: Mapping[str, str], rows: Mapping[str, int], file: Path | None, before: Counts
) -> dict[str, int]:
    """Rows that this run will collect, by record type, as far as can be told: what was not collected before."""
    held: Counter[str] = Counter()
    for connector, record_type in connectors.items():
        of_file = connector == FILE_SOURCE and file is not None
        held[record_type] += _rows_of(file) if of_file and file is not None else rows[connector]
    return {name: max(0, held[name] - before.of(name)["collected"]) for name in connectors.values()}


def _rows_of(file: Path) -> int:
    with file.open("rb") as raw, ExitStack() as stack:
        plain = stack.enter_context(gzip.open(raw)) if file.suffix == ".gz" else raw
        return sum(1 for _ in csv.DictReader(io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")))


def complete(counts: Counts, connectors: Mapping[str, str], before: Counts) -> bool:
    """Whether every source has compared itself in this run, and admission has taken what this run submitted.

    connectors: record type by source connector. Sums over all runs do not tell: a source that lost its state submits
    again what admission had taken long ago.
    """
    done = counts.since(before)
    compared = all(counts.compared.get(name) not in (None, before.compared.get(name)) for name in connectors)
    return compared and all(done.taken.get(name, 0) >= done.of(name)["submitted"] for name in connectors.values())


class _Bars:
    """The bars of the screen."""

    def __init__(self, progress: Progress, expected: Mapping[str, int]) -> None:
        self._progress = progress
        self._checked = {
            name: progress.add_task(f"checked      {name}", total=number) for name, number in expected.items()
        }
        self._handed: dict[str, TaskID] = {}

    def show(self, counts: Counts) -> None:
        """Bring the bars to these counts."""
        for name, bar in self._checked.items():
            self._progress.update(bar, completed=counts.taken.get(name, 0))
        for name, row in counts.by_record_type.items():
            leaving = row["forwarded"] + row["retracted"]
            if leaving and name not in self._handed:
                self._handed[name] = self._progress.add_task(f"handed over  {name}")
            if name in self._handed:
                self._progress.update(self._handed[name], completed=row["handed_over"], total=leaving)

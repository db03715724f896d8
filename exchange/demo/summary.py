"""The end of the demo: what a person reads, and the same as JSON."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from exchange.demo.cases import Case, table
from exchange.demo.flow import Counts

_TARGET = 0.6
_SHOWN = ("unmapped", "submitted", "admitted", "quarantined", "forwarded", "handed_over")
"""The counts a person looks at first; the JSON has all."""
_HEADS = {
    "unmapped": "un-\nmapped",
    "submitted": "sub-\nmitted",
    "admitted": "ad-\nmitted",
    "quarantined": "quaran-\ntined",
    "forwarded": "for-\nwarded",
    "handed_over": "handed\nover",
}
"""Broken so that the table fits a terminal of 80 columns."""


@dataclass(slots=True)
class Summary:
    """Everything that the demo tells at its end."""

    counts: Counts
    demands: dict[str, int]
    """Number of demands by state."""
    satisfaction: dict[str, float | None]
    seconds: dict[str, float]
    addresses: dict[str, str]
    notes: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    """The demands that are not served in full."""

    def as_json(self) -> dict[str, Any]:
        """The document of `--summary`."""
        return {
            "records": self.counts.total,
            "by_record_type": self.counts.by_record_type,
            "quarantined_by_code": self.counts.quarantined_by_code,
            "demands": self.demands,
            "satisfaction": self.satisfaction,
            "books_closed": self.closed,
            "seconds": {phase: round(seconds, 1) for phase, seconds in self.seconds.items()},
            "addresses": self.addresses,
        }

    @property
    def closed(self) -> bool:
        """Whether every sum closes, also at intake."""
        total = self.counts.total
        return self.counts.closed and total["collected"] == total["submitted"] + total["unmapped"]

    def write(self, file: Path) -> None:
        """Write the JSON document."""
        file.write_text(json.dumps(self.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print it for a person."""
        console.print()
        console.print(_records(self.counts))
        for code, count in sorted(self.counts.quarantined_by_code.items()):
            console.print(f"quarantined: {count:,} with {code} (`exchange errors` says what to do)", highlight=False)
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.demands.items()))
        console.print(f"\ndemands: {states}", highlight=False)
        strict, weighted = (_percent(self.satisfaction[variant]) for variant in ("strict", "weighted"))
        console.print(
            f"shared-demand satisfaction rate 跨部门信息共享需求满足率: [bold]{strict}[/bold]"
            f" (weighted by fields {weighted}; the plan's target: more than {_TARGET:.0%})",
            highlight=False,
        )
        if self.cases:
            console.print()
            console.print(table(self.cases))
        console.print("books: [green]closed[/green]" if self.closed else "books: [red]do not close[/red]")
        for note in self.notes:
            console.print(note, highlight=False, soft_wrap=True)


def by_state(demands: list[dict[str, Any]]) -> dict[str, int]:
    """Number of demands by state."""
    return dict(Counter(str(demand["state"]) for demand in demands))


def _records(counts: Counts) -> Table:
    table = Table(title="Records of this run", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("record type", no_wrap=True)
    for key in _SHOWN:
        table.add_column(_HEADS[key], justify="right", no_wrap=True)
    for name, row in sorted(counts.by_record_type.items()):
        table.add_row(name.replace(".", ".\n "), *(f"{row[key]:,}" for key in _SHOWN))
    table.add_section()
    table.add_row("all", *(f"{counts.total[key]:,}" for key in _SHOWN))
    return table


def _percent(ratio: float | None) -> str:
    return "none yet (no demand counts)" if ratio is None else f"{ratio:.1%}"

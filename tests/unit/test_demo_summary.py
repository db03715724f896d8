"""What a person reads at the end of the demo."""

import io

from rich.console import Console

from exchange.avro.lock import SchemaRepository
from exchange.cli.demo.flow import Counts
from exchange.cli.demo.summary import Summary
from exchange.settings import Settings

WIDTH = 80


def test_the_table_of_every_record_type_fits_a_small_terminal_with_every_digit() -> None:
    counts = Counts()
    for number, record_type in enumerate(SchemaRepository.load(Settings().schemas).record_types()):
        counts.of(record_type).update(dict.fromkeys(counts.of(record_type), 10_001 + number))
    console = Console(file=io.StringIO(), width=WIDTH)
    satisfaction = {"strict": 1.0, "weighted": 1.0}
    Summary(counts, {"serving": 1}, satisfaction, {}, {}).show(console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    print(shown)
    assert "…" not in shown
    assert f"{counts.total['handed_over']:,}" in shown
    assert all(number in shown for number in ("10,001", "10,011"))

"""What reading a file costs: CPU of this process a row, beside Python's own csv.DictReader, and memory.

    python -m tests.bench.bench_files [ROWS]

Prints, for a file of 10 columns without quotation marks, with some, and with every cell quoted, microseconds of CPU a
row, the ratio, and by how much the process grew while it read. Whoever changes the reader keeps the ratio under 1.5.
"""

import csv
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from exchange.connect.files import csv_file
from exchange.connect.reading import SourceRow
from exchange.settings import ConnectorSettings

_ROWS = 300_000
_PAGE = 5_000
_NAMES = [f"列{number}" for number in range(10)]


def _written(path: Path, rows: int, quoting: int, marks: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting)
        writer.writerow(_NAMES)
        for row in range(rows):
            name, place = f"徽州模拟化工{row}股份有限公司", f"示范县二号路{row}号"
            scope = "建材机械、标准紧固件" + (marks if row % 5 == 0 else "")
            writer.writerow(
                [f"91340299{row:010}", name, "2001-01-05", "N/A", "王某", "500(万元)", scope, "安徽", "淮南", place]
            )


def _plain(path: Path) -> Iterator[list[SourceRow]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        while page := [SourceRow(row, 1) for row in islice(rows, _PAGE)]:
            yield page


def _strict(path: Path) -> Iterable[list[object]]:
    reader = csv_file(key=_NAMES[0]).reader(ConnectorSettings(path=path))
    return (list(page.rows) for page in reader.whole(_PAGE))


def _cost(
    read: Callable[[Path], Iterable[list[object]]] | Callable[[Path], Iterator[list[SourceRow]]], path: Path
) -> float:
    began = time.process_time()
    rows = sum(len(page) for page in read(path))
    return (time.process_time() - began) / rows * 1e6


def main(rows: int) -> None:
    """Measure and print."""
    kinds = {"no quotes": (csv.QUOTE_MINIMAL, ""), "some": (csv.QUOTE_MINIMAL, ', "x"'), "all": (csv.QUOTE_ALL, "")}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (quoting, marks) in kinds.items():
            path = Path(folder) / "rows.csv"
            _written(path, rows, quoting, marks)
            plain = min(_cost(_plain, path) for _ in range(3))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            strict = min(_cost(_strict, path) for _ in range(3))
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            costs = f"DictReader {plain:5.2f} µs  strict {strict:5.2f} µs  {strict / plain:4.2f}"
            print(f"{kind:10} {costs}  +{grown >> 10} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ROWS)

"""Steps two and three for a page: map and encode its rows, and tell a wrong row from a wrong declaration."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import Action, ExchangeError
from exchange.intake.encode import Encoder, Outgoing
from exchange.intake.map import MappingFault, RowMapper

LEAST_PROGRAMMING = 2
"""Rows, of which none maps because of an error of programming, that convict the declaration."""
LEAST_OF_WHOLE = 2
"""Rows at the beginning of a whole reading, of which none maps for whatever reason, that do."""
LEAST_OF_CHANGES = 20
"""Rows that changed, of which none maps, that do: a few wrong rows may well change at once."""
WINDOW_ROWS = 1_000
"""Over so many rows less than half that map convict the declaration."""
_REASONS = 3


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that is to be set aside."""

    row: SourceRow | FaultyRow
    error: ExchangeError
    natural_key: str | None = None
    """What its key would be, if that can be told."""

    def __repr__(self) -> str:
        return f"Failed({self.error.code})"


@dataclass(slots=True)
class Prepared:
    """The rows of a page: those that became records, and those that did not."""

    records: list[tuple[SourceRow, Outgoing]]
    failed: list[Failed]

    def __repr__(self) -> str:
        return f"Prepared({len(self.records)} records, {len(self.failed)} failed)"


class Preparer:
    """Maps and encodes the rows of one source."""

    def __init__(self, mapper: RowMapper, encoder: Encoder) -> None:
        self._mapper = mapper
        self._encoder = encoder
        self._last: deque[tuple[int, int]] = deque()
        """(rows that were mapped, of them failed) of the last pages, together at least WINDOW_ROWS when there are."""
        self._rows = self._failed = 0

    def prepare(
        self, rows: Sequence[SourceRow | FaultyRow], withdrawn: frozenset[str], begins: bool, unchanged: int = 0
    ) -> Prepared:
        """Records of the rows of a page, in their order.

        withdrawn: keys of withdrawn rows that the memory can name without a mapping; they are left out. begins: whether
        a whole reading begins with the page. unchanged: how many other rows of the page are known to map. Raises
        ExchangeError(E_CONNECTOR) when the declaration is at fault: of the page nothing maps (see the constants above;
        where a column or field is missing, one row says it), or of the last 1,000 rows less than half.
        """
        records: list[tuple[SourceRow, Outgoing]] = []
        failed: list[Failed] = []
        wrong: list[ExchangeError] = []
        add, map_, encode = records.append, self._mapper.map, self._encoder.encode
        for row in rows:
            if isinstance(row, FaultyRow):
                failed.append(Failed(row, row.error))
                continue
            if row.withdrawn and row.key in withdrawn:
                continue
            try:
                add((row, encode(map_(row), row)))
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                failed.append(Failed(row, error, self._natural_key(row)))
                wrong.append(error)
        self._judge(len(records) + unchanged, wrong, begins)
        return Prepared(records, failed)

    def _natural_key(self, row: SourceRow) -> str | None:
        try:
            return self._encoder.key(self._mapper.map(row)).decode("ascii")
        except ExchangeError:
            return None

    def _judge(self, good: int, wrong: list[ExchangeError], begins: bool) -> None:
        rows = good + len(wrong)
        if rows and not good and _convicts(wrong, LEAST_OF_WHOLE if begins else LEAST_OF_CHANGES):
            raise _declaration(rows, wrong)
        self._rows += rows
        self._failed += len(wrong)
        self._last.append((rows, len(wrong)))
        while self._rows - self._last[0][0] >= WINDOW_ROWS:
            old_rows, old_failed = self._last.popleft()
            self._rows -= old_rows
            self._failed -= old_failed
        if wrong and self._rows >= WINDOW_ROWS and 2 * (self._rows - self._failed) < self._rows:
            raise _declaration(rows, wrong)


def _convicts(wrong: list[ExchangeError], least: int) -> bool:
    """Whether a page of which nothing maps speaks against the declaration, and not against its rows."""
    if all(isinstance(error, MappingFault) and error.certain for error in wrong):
        return True
    if all(isinstance(error, MappingFault) and error.programming for error in wrong):
        return len(wrong) >= LEAST_PROGRAMMING
    return len(wrong) >= least


def _declaration(rows: int, wrong: list[ExchangeError]) -> ExchangeError:
    """What is wrong with the declaration, by the commonest reasons. Their words name columns and fields only."""
    common = Counter(error.detail for error in wrong).most_common(_REASONS)
    reasons = "; ".join(f"{reason}: {count:,} rows" for reason, count in common)
    return ExchangeError("E_CONNECTOR", f"of {rows:,} rows {rows - len(wrong):,} map: {reasons}")

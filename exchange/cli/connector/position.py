"""How far a source has read along its cursor column, and how old that is. A number is never shown: it may be a key."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exchange.cli.output import age
from exchange.clock import format_time
from exchange.connect.declare import Sink, Source
from exchange.connect.reading import CHINA, SourceColumns
from exchange.connect.sql.positions import newest

_NO_ZONE = "; the column has no zone, so that of China is taken"


@dataclass(frozen=True, slots=True)
class Position:
    """The cursor column of a source and the newest value that was read of it."""

    column: str | None
    """None: nothing is read along a cursor."""
    value: Any
    """None: nothing was read yet."""

    @classmethod
    def of(cls, declared: Source | Sink, cursor: dict[str, Any] | None) -> "Position":
        """The position of a source with this cursor in its memory."""
        columns = getattr(declared.reads, "columns", None) if isinstance(declared, Source) else None
        column = columns.cursor if isinstance(columns, SourceColumns) else None
        return cls(column, None if column is None or cursor is None else newest(cursor))

    @property
    def moment(self) -> datetime | None:
        """When the newest row that was read was changed, where the cursor is a time."""
        value = self.value
        if isinstance(value, str):  # as SQLite keeps times
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if not isinstance(value, datetime):
            return None
        return value if value.tzinfo is not None else value.replace(tzinfo=CHINA)

    def words(self) -> str:
        """For people."""
        if self.column is None:
            return "none is declared: whatever is new comes with the next comparison"
        if self.value is None:
            return f"{self.column}: nothing was read along it yet"
        if self.moment is None:
            return f"{self.column}: it is no time, so the age of the newest row is not known"
        zone = "" if getattr(self.value, "tzinfo", None) is not None else _NO_ZONE
        return f"{self.column}: the newest row that was read was changed {age(self.moment)} ago ({self._text()}{zone})"

    def plain(self) -> dict[str, Any] | None:
        """For scripts; `newest` and `age_seconds` are null where nothing was read yet or the cursor is no time."""
        if self.column is None:
            return None
        seconds = None if self.moment is None else (datetime.now(UTC) - self.moment).total_seconds()
        return {"column": self.column, "newest": self._text(), "age_seconds": None if seconds is None else int(seconds)}

    def _text(self) -> str | None:
        return None if self.moment is None else format_time(self.moment)

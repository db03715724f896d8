"""The books at intake: what was collected, submitted and not mapped, together with the cursor, in one file.

The file is replaced in one step after Kafka has taken the rows it counts. A crash between the two submits a page again
(admission finds it unchanged); it is then counted once, so collected = submitted + unmapped always closes.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from exchange.connect.reading import Cursor
from exchange.errors import ExchangeError


@dataclass(slots=True)
class Books:
    """What a source has done so far, over all its runs."""

    cursor: Cursor | None = None
    collected: int = 0
    submitted: int = 0
    unmapped: int = 0
    runs: int = 0

    def __repr__(self) -> str:
        return f"Books({self.collected} collected, {self.submitted} submitted, {self.unmapped} unmapped)"


class StateFolder:
    """Where connectors keep their state: `<connector>.json`, for its owner only."""

    def __init__(self, folder: Path, connector: str) -> None:
        self._books = folder / f"{connector}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExchangeError("E_SETTINGS", f"the folder for connectors' state: {error.strerror}") from None

    def load(self) -> Books:
        """The books as saved last; empty ones at first. Raises ExchangeError(E_SETTINGS) for a broken file."""
        try:
            return Books(**json.loads(self._books.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Books()
        except (OSError, ValueError, TypeError) as error:
            raise ExchangeError("E_SETTINGS", f"{self._books.name} cannot be read: {type(error).__name__}") from None

    def save(self, books: Books) -> None:
        """Replace the file in one step."""
        _replace(self._books, json.dumps(asdict(books), indent=1).encode())


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)

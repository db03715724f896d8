"""A look into a source's memory from outside of its process: what it counted, how far it is."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

_BUSY_SECONDS = 10.0


def state_of(folder: Path, connector: str, name: str) -> Any:
    """What the memory of a connector holds under a name of its table `state`, or None while there is nothing.

    Raises sqlite3.Error for a file that is no memory.
    """
    file = folder / f"{connector}.sqlite"
    if not file.exists():
        return None
    address = f"{file.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as database:
        tables = database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'state'").fetchall()
        found = database.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchall() if tables else []
    return json.loads(found[0][0]) if found else None

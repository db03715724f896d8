"""Declaration of a drop folder as a sink: deliveries in signed files, which `exchange.handover.files` writes."""

import re
from dataclasses import dataclass
from pathlib import Path

from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of one sink, inside the one that EXCHANGE_CONNECTOR__DROP_FOLDER names."""

    name: str

    def path(self, settings: ConnectorSettings) -> Path:
        """Where it is. Raises ExchangeError(E_SETTINGS) when the folder around it is not set."""
        if settings.drop_folder is None:
            raise ExchangeError("E_SETTINGS", "the drop folder (EXCHANGE_CONNECTOR__DROP_FOLDER) is not set")
        return settings.drop_folder / self.name


def folder(name: str) -> Folder:
    """A drop folder: the sink puts numbered deliveries there, and goes on when the grantee has taken the last one.

    Raises ExchangeError(E_CONNECTOR) for a name that is not in kebab or snake case.
    """
    if not _NAME.fullmatch(name):
        raise ExchangeError("E_CONNECTOR", "a drop folder is named in kebab or snake case")
    return Folder(name)

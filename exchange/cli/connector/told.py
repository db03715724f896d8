"""What a status tells: the same for scripts and for people."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """The status of a connector."""

    plain: dict[str, Any]
    """For scripts."""
    words: dict[str, str]
    """For people: a few words a line, under the line's name."""
    missing: list[str] = field(default_factory=list)
    """Codes of the errors for which a part of it could not be had."""

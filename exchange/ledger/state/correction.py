"""A doubt about one record, as the ledger knows it: whose, of which grant and fields, and what came of it.

Which record it is, and every word of both sides, stands in the provider's correction topic and never in the ledger.
"""

from dataclasses import dataclass
from datetime import datetime

from exchange.names import CorrectionId, DemandId, Department, GrantId, RecordType

RIGHT = "right-as-it-is"
"""The answer after which nothing more is to come."""
ANSWERS = ("corrected", "withdrawn", RIGHT)
"""What a provider answers: it corrects the record, withdraws it, or found nothing wrong with it."""


@dataclass(slots=True)
class CorrectionEntry:
    """One correction (校核纠错, Order 809, art. 26)."""

    correction: CorrectionId
    grant: GrantId
    demand: DemandId
    provider: Department
    """Whose record it is, by the terms of the grant."""
    record_type: RecordType
    fields: tuple[str, ...]
    """The doubted fields."""
    kept_by: Department
    """In whose correction topic the key and the words stand."""
    partition: int
    """Of the registry, in which a newer version of the record will stand."""
    offset: int
    """From which on a version of the record is newer than the doubt."""
    submitted: datetime
    answered: datetime | None = None
    answer: str | None = None
    """One of ANSWERS."""
    closed: datetime | None = None
    """When the newer version was there; when it was answered, where none is to come."""
    version: int | None = None
    """Offset of that version in its partition of the registry."""

    @property
    def state(self) -> str:
        """`submitted`, `answered` (a newer version is to come) or `closed`."""
        if self.closed is not None:
            return "closed"
        return "submitted" if self.answered is None else "answered"

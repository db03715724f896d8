"""What a sink's table refused and waits to be taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from exchange.names import GrantId

_MAX_KEY_BYTES = 512


def identity(key: bytes) -> str:
    """How a record's key stands in the table: as it is, unless a database could not hold it."""
    text = key.decode("utf-8", "replace")
    return text if len(key) <= _MAX_KEY_BYTES and "\0" not in text else f"sha256:{sha256(key).hexdigest()}"


@dataclass(frozen=True, slots=True)
class SetAsideRecord:
    """A record that waits in a sink's database, as its department sees it. Its repr does not show the key."""

    grant: GrantId
    record_key: str = field(repr=False)
    partition: int
    offset: int
    code: str
    detail: str
    since: datetime
    tries: int


class SetAsideView:
    """What waits in a department's database."""

    def __init__(self, read_address: Callable[[], str], table: str = "") -> None:
        """table: the sink's own, in whose schema the exchange's tables stand."""

    def listed(self) -> list[SetAsideRecord]:
        """All that waits, the oldest first. Raises ExchangeError(E_SINK_UNREACHABLE)."""
        return []

    def close(self) -> None:
        """Close the connections."""

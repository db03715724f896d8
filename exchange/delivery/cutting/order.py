"""The order of a pseudonymous share: its own `ce_sequence`, in each partition a count of the records written there.

It begins at a number of the share's own, grows for each key, as the registry's sequences do, and says nothing that the
offsets of the share do not say. Nothing is stored for it: the books of the share, which are written in the same
transaction as its records, count what was written. So it goes on after a restart, through a backfill, and when a
suspended share is taken up again. Reading a share again from its beginning finds the same numbers.
"""

import hmac
from typing import Final

BEFORE_FIRST: Final = 1 << 62
"""Above every sequence that a connector gives (`exchange.intake.encode.MOST_SEQUENCE`): the order of a share that once
carried the registry's sequences goes on."""
_LABEL: Final = b"order\x00"
_START_BITS: Final = 60


class Order:
    """Gives the next places in a share's order, in one partition.

    written: records and tombstones that stand there. secret: of the share; two shares begin at different numbers.
    """

    def __init__(self, written: int = 0, secret: bytes = b"") -> None:
        start = int.from_bytes(hmac.digest(secret, _LABEL, "sha256")) >> 256 - _START_BITS
        self._last = BEFORE_FIRST + start + written

    def next(self) -> bytes:
        """The `ce_sequence` of the next record or tombstone."""
        self._last += 1
        return str(self._last).encode()

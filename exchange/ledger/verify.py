"""Whether a ledger is whole: every event there, unchanged, in order, and no tail cut off behind a published head."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from exchange.errors import ExchangeError
from exchange.ledger.events.event import FIRST_HASH, LedgerEvent, event_of

_HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a ledger: what is published, because a chain alone cannot show that its end is missing."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """The head written as SEQ:HASH. Raises ExchangeError(E_REQUEST)."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise ExchangeError("E_REQUEST", "a head is SEQ:HASH, a number and 64 hexadecimal digits")
        return cls(int(found[1]), found[2])


def verify(events: Iterable[LedgerEvent], published: Head | None = None) -> Head:
    """The head of a whole ledger.

    Raises ExchangeError(E_LEDGER_BROKEN) that names the first event that does not fit: its number is not the next one,
    it does not continue the hash of the event before, or it is not the published one, or that is missing.
    """
    head = Head(0, FIRST_HASH)
    for event in events:
        if event.seq != head.seq + 1:
            raise ExchangeError("E_LEDGER_BROKEN", f"event {event.seq} stands where event {head.seq + 1} belongs")
        if event.prev_hash != head.hash:
            raise ExchangeError(
                "E_LEDGER_BROKEN",
                f"event {event.seq} does not fit event {head.seq}: one of them is not as it was written",
            )
        # The hash is taken of the data as it reads, not as it is said to be canonical.
        head = Head(event.seq, event_of(event.exported()).hash)
        if published is not None and head.seq == published.seq and head.hash != published.hash:
            raise ExchangeError("E_LEDGER_BROKEN", f"event {head.seq} is not the one whose hash was published")
    if published is not None and head.seq < published.seq:
        raise ExchangeError(
            "E_LEDGER_BROKEN", f"the ledger ends with event {head.seq}, but event {published.seq} was published"
        )
    return head

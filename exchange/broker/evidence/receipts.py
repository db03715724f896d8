"""Receipts: what sinks say they have applied. Their own word, shown beside the books and never part of their sums."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from exchange import names
from exchange.broker.evidence.followed import Followed, Take
from exchange.broker.evidence.line_states import Follow
from exchange.clock import Deadline
from exchange.handover.receipt import Receipt, decode
from exchange.kafka.client.message import Message
from exchange.names import GrantId

_PARTITIONS = 64
"""No share has more partitions; receipts for others are not listened to: the topic is written by a department."""
_FIRST_YEAR, _LAST_YEAR = 2000, 3000
MOST = 1 << 53
"""No connector has seen so many records, and what is shown as a number holds no larger one exactly."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Sums of a grant's receipts."""

    records: int = 0
    faulty: int = 0
    set_aside: int = 0
    """Records that wait at the sink, because its table refuses them."""
    at: datetime | None = None
    """When the newest receipt was written; None before the first."""


class Receipts:
    """Follows `receipt.*`. Used by one thread."""

    def __init__(self, follow: Follow, *others: Take) -> None:
        """others: who else takes from these topics."""
        self._latest: dict[GrantId, dict[int, Receipt]] = {}
        self._followed = Followed(names.receipt_topic(GrantId("")), follow, self._take, *others)

    @property
    def whole(self) -> bool:
        """Whether all receipts have been read once."""
        return self._followed.whole

    def refresh(self, topics: Collection[str], deadline: Deadline) -> None:
        """Read to the end, or until the deadline. `topics`: every topic there is."""
        self._followed.refresh(topics, deadline)

    def of(self, grant: GrantId) -> HandedOver:
        """What the grant's sinks have applied, as far as they say."""
        receipts = self._latest.get(grant, {}).values()
        return HandedOver(
            sum(one.handed_over for one in receipts),
            sum(one.faulty for one in receipts),
            sum(one.set_aside for one in receipts),
            max((one.at for one in receipts), default=None),
        )

    def close(self) -> None:
        """Let go of the client."""
        self._followed.close()

    def _take(self, grant: str, message: Message) -> None:
        value = message.value()
        receipt = decode(value) if value is not None else None
        if receipt is not None and receipt.partition < _PARTITIONS and _is_plausible(receipt):
            self._latest.setdefault(GrantId(grant), {})[receipt.partition] = receipt


def is_of_our_time(moment: datetime) -> bool:
    """Whether a moment that a department tells can be shown in any time zone (`interfaces.md` §5)."""
    return _FIRST_YEAR <= moment.year < _LAST_YEAR


def _is_plausible(receipt: Receipt) -> bool:
    counts = (receipt.next_offset, receipt.upserted, receipt.deleted, receipt.faulty, receipt.set_aside)
    return max(counts) < MOST and is_of_our_time(receipt.at)

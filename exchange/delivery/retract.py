"""Retract: a withdrawn record reaches everyone who may know that it existed, as a tombstone."""

from collections.abc import Callable, Sequence

from exchange.delivery.cut import Holdings
from exchange.delivery.forward import headers_of, key_of
from exchange.delivery.permit import Share, comes_by_heritage
from exchange.names import share_topic
from exchange.record import SOURCE, Headers, source_of

Produce = Callable[..., None]
"""produce(topic, value, key, partition, headers=)."""


class Retractor:
    """Tombstones for the shares of one unit.

    A share that is tracked gets one only when it holds the record; another one when the record was its provider's.
    The state forgets the key in any case: a share that has left may have held it.
    """

    def __init__(self, shares: Sequence[Share], holdings: Holdings, partition: int) -> None:
        self._shares = [_Holder(share, holdings) for share in shares]
        self._holdings = holdings
        self._partition = partition

    def retract(self, key: bytes, headers: Headers, produce: Produce) -> tuple[tuple[int, int, int], ...]:
        """Produce the tombstones. Returns (forwarded, retracted, unchanged) for each share, as cuts do."""
        counts = []
        self._holdings.changed.add(key)
        for holder in self._shares:
            due = holder.lets_go(key) if holder.held is not None else holder.is_of_provider(key, headers)
            if due:
                produce(holder.topic, None, holder.key(key), self._partition, headers=holder.headers(headers))
            counts.append((0, int(due), 0))
        return tuple(counts)


class _Holder:
    def __init__(self, share: Share, holdings: Holdings) -> None:
        self.topic = share_topic(share.share)
        self._source = (SOURCE, source_of(share.terms.provider))
        self._inherited = share.inherited
        self.held = holdings.held.setdefault(share.number, {}) if share.tracked else None
        self.key = key_of(share) or _same
        self.headers = headers_of(share) or _same_headers

    def is_of_provider(self, key: bytes, headers: Headers) -> bool:
        """Whether the withdrawn record was the provider's."""
        if self._source in headers:
            return True
        return self._inherited is not None and comes_by_heritage(self._inherited, key, headers)

    def lets_go(self, key: bytes) -> bool:
        """Forget that the share holds the record; whether it did."""
        if self.held is None or key not in self.held:
            return False
        del self.held[key]
        return True


def _same(key: bytes) -> bytes:
    return key


def _same_headers(headers: Headers) -> Headers:
    return headers

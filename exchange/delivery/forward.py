"""Forward: the cut goes to the share's topic, in the registry's partition, key and headers clear or pseudonymous.

What would be equal in two shares of one record type could join their records. So a pseudonymous share has an order of
its own (`order`), and of the time of a version it shows the day. deploy/decisions/what-pseudonyms-hide.md says what
partition and order still tell.
"""

from collections.abc import Callable
from functools import lru_cache, partial

from exchange import record
from exchange.avro.compiled.source import Module
from exchange.calendar import day_in_shanghai
from exchange.clock import parse_time
from exchange.delivery.cutting.order import Order
from exchange.delivery.cutting.pseudonym import pseudonym, pseudonymous_id
from exchange.delivery.permit import Share
from exchange.errors import ExchangeError
from exchange.names import share_topic
from exchange.record import Headers

_KEPT = (record.SPECVERSION, record.SOURCE, record.TYPE, record.CONTENT_TYPE)
"""What a pseudonymous share shows as the registry has it: nothing that tells a record from others of its provider."""


def pseudonymous_headers(secret: bytes, order: Order, headers: Headers) -> Headers:
    """The headers of the next record of a pseudonymous share: id, time and sequence are its own."""
    found = []
    for name, value in headers:
        if name == record.ID:
            found.append((name, pseudonymous_id(secret, value)))
        elif name == record.TIME and (day := _day_of(value)) is not None:
            found.append((name, day))
        elif name in _KEPT:
            found.append((name, value))
    found.append((record.SEQUENCE, order.next()))
    return found


@lru_cache(maxsize=4096)
def _day_of(time: bytes) -> bytes | None:
    """The beginning of the day in China; None for what is no time."""
    try:
        return f"{day_in_shanghai(parse_time(time.decode()))}T00:00:00+08:00".encode()
    except (ExchangeError, ValueError, OverflowError):
        return None


def key_of(share: Share) -> Callable[[bytes], bytes] | None:
    """What makes the share's key of the registry's; None when they are the same."""
    if not share.terms.pseudonymous:
        return None
    assert share.secret is not None, "a pseudonymous share has a secret"
    return partial(pseudonym, share.secret)


def headers_of(share: Share) -> Callable[[Headers], Headers] | None:
    """What makes the share's headers of the registry's; None when they are the same."""
    if not share.terms.pseudonymous:
        return None
    assert share.secret is not None, "a pseudonymous share has a secret"
    return partial(pseudonymous_headers, share.secret, share.order)


def emit_forward(share: Share, value: str, module: Module) -> list[str]:
    """Lines that produce `value` (a name, or None) for the record with key `k` and headers `h` into partition `N`."""
    topic = module.constant(share_topic(share.share), "T")
    key, headers = key_of(share), headers_of(share)
    if key is None and headers is None:
        arguments = f"{topic}, {value}, k, N, headers=h"
        return [f"try: produce({arguments})", f"except BufferError: again({arguments})"]
    key_code = "k" if key is None else f"{module.constant(key, 'K')}(k)"
    headers_code = "h" if headers is None else f"{module.constant(headers, 'H')}(h)"
    arguments = f"{topic}, {value}, kk, N, headers=hh"
    # Made once, also when the client's queue is full: each making of headers is the next place in the share's order.
    made = f"kk, hh = {key_code}, {headers_code}"
    return [made, f"try: produce({arguments})", f"except BufferError: again({arguments})"]

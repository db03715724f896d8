"""Forward: the cut goes to the share's topic, in the registry's partition, key and headers clear or pseudonymous."""

from collections.abc import Callable
from functools import partial

from exchange import record
from exchange.avro.compiled.source import Module
from exchange.delivery.cutting.pseudonym import pseudonym, pseudonymous_id
from exchange.delivery.permit import Share
from exchange.names import share_topic
from exchange.record import Headers

_KEPT = (
    record.SPECVERSION,
    record.SOURCE,
    record.TYPE,
    record.TIME,
    record.CONTENT_TYPE,
    record.SEQUENCE,
)
"""What a pseudonymous share shows of the headers beside the id: nothing that could name the record."""


def pseudonymous_headers(secret: bytes, headers: Headers) -> Headers:
    """The headers of a pseudonymous share: `ce_id` is a keyed hash, the others pass."""
    return [
        (name, pseudonymous_id(secret, value)) if name == record.ID else (name, value)
        for name, value in headers
        if name == record.ID or name in _KEPT
    ]


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
    return partial(pseudonymous_headers, share.secret)


def emit_forward(share: Share, value: str, module: Module) -> list[str]:
    """Lines that produce `value` (a name, or None) for the record with key `k` and headers `h` into partition `N`."""
    topic = module.constant(share_topic(share.share), "T")
    key, headers = key_of(share), headers_of(share)
    key_code = "k" if key is None else f"{module.constant(key, 'K')}(k)"
    headers_code = "h" if headers is None else f"{module.constant(headers, 'H')}(h)"
    arguments = f"{topic}, {value}, {key_code}, N, headers={headers_code}"
    return [f"try: produce({arguments})", f"except BufferError: again({arguments})"]

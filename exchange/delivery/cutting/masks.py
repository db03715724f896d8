"""Masks: what a granted field shows instead of its value. A mask changes the field's type to string.

| mask | takes | shows |
|---|---|---|
| `first` | string | the first character, then `**` |
| `ends` | string | the first and the last character, `**` between; of less than 4 characters only the first |
| `year` | date | the year in four digits |
| `pseudonym` | string | a keyed hash, the same as in the keys of the share |

The length of what is hidden does not show.
"""

from collections.abc import Callable
from datetime import date
from functools import partial

from exchange.delivery.cutting.pseudonym import pseudonym
from exchange.errors import ExchangeError

HIDDEN = "**"
_MIN_ENDS = 4
_EPOCH = date(1970, 1, 1).toordinal()

MASKED_TYPES = {"first": "string", "ends": "string", "year": "date", "pseudonym": "string"}
"""Every mask with the type of the fields that it takes."""


def first(text: str) -> str:
    """The first character of `text`."""
    return text[:1] + HIDDEN


def ends(text: str) -> str:
    """The first and the last character of `text`."""
    return first(text) if len(text) < _MIN_ENDS else text[0] + HIDDEN + text[-1]


def year(days: int) -> str:
    """The year of a date given in days since 1970, as Avro holds it."""
    return f"{date.fromordinal(_EPOCH + days).year:04d}"


def encoded(content: bytes) -> bytes:
    """The Avro encoding of a string whose UTF-8 bytes are `content`."""
    length, head = len(content) << 1, bytearray()
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _masked_text(mask: Callable[[str], str], content: bytes) -> bytes:
    return encoded(mask(content.decode()).encode())


def _masked_date(varint: bytes) -> bytes:
    zigzag = 0
    for at, byte in enumerate(varint):
        zigzag |= (byte & 0x7F) << 7 * at
    return encoded(year((zigzag >> 1) ^ -(zigzag & 1)).encode())


def _pseudonymous(secret: bytes, content: bytes) -> bytes:
    return encoded(pseudonym(secret, content))


def masker(mask: str, secret: bytes | None) -> Callable[[bytes], bytes]:
    """What turns a field's bytes (a string's content, a date's integer) into the Avro encoding of the masked string.

    Raises ExchangeError(E_SHARE_TERMS) for a mask that does not exist or lacks its secret.
    """
    if mask == "first":
        return partial(_masked_text, first)
    if mask == "ends":
        return partial(_masked_text, ends)
    if mask == "year":
        return _masked_date
    if mask == "pseudonym" and secret is not None:
        return partial(_pseudonymous, secret)
    raise ExchangeError("E_SHARE_TERMS", f"no mask {mask} for this share")

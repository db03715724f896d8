"""Unified social credit codes (GB 32100): department, kind, region, organisation code, check character.

The code's own check character decides. A wrong check character of the organisation code inside is a warning only: real
codes have it. Codes of rural collectives begin with N, those of the armed forces' institutions with A, others with Y.

Tried on the 24,918 registrations of Anhui (1978 to 2006): all but six are clean, five of these have a wrong check
character, and one is in lower case, which `validate` mends. They begin with 91, 92 or 93; the other kinds are those of
GB 32100-2015 and of the notices that opened N and Y, tried on no list.
"""

from collections.abc import Iterable
from itertools import product
from typing import Final

from exchange.errors import InvalidIdentifier
from exchange.identifiers import organisation_code
from exchange.identifiers.region import PROVINCES
from exchange.identifiers.separators import hidden, without_separators

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100 leaves out I, O, S, V and Z."""
KINDS: Final = {
    "1": "1239",  # establishment office: organ, institution, people's organisation, other
    "2": "19",  # foreign affairs
    "3": "123459",  # justice
    "4": "19",  # culture
    "5": "1239",  # civil affairs: association, private non-enterprise unit, foundation, other
    "6": "129",  # tourism
    "7": "129",  # religion
    "8": "19",  # trade unions
    "9": "123",  # market regulation: enterprise, individual business, farmers' cooperative
    "A": "19",  # armed forces
    "N": "1239",  # agriculture: collectives of group, village and township
    "Y": "1",  # other
}
"""First character (the registration department) -> the second characters (the kind of body) it may give."""
NATIONAL: Final = "100000"
"""Stands for the region in codes that a national authority gave: of ministries, banks and groups of the state."""

_LENGTH: Final = 18
_MODULUS: Final = 31
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_WEIGHTS: Final = (*(pow(3, position, _MODULUS) for position in range(17)), 1)  # 1: the check character itself
_DIGITS: Final = "0123456789"


def _sums(position: int, parts: Iterable[str]) -> dict[str, int]:
    """The weighted sum of each of `parts` when it stands at `position` (from 0)."""
    return {part: sum(_WEIGHTS[position + offset] * _VALUES[one] for offset, one in enumerate(part)) for part in parts}


def _strings(alphabet: str, length: int) -> Iterable[str]:
    return ("".join(characters) for characters in product(alphabet, repeat=length))


# Sums are looked up for parts of two or three characters: eight look-ups check form, department, region and sum.
_HEAD: Final = _sums(0, (first + second for first, seconds in KINDS.items() for second in seconds))
_REGION_1: Final = _sums(2, (province + digit for province in PROVINCES for digit in _DIGITS))
_REGION_2: Final = _sums(5, _strings(_DIGITS, 3))
_BODY_1: Final = _sums(8, _strings(ALPHABET, 2))
_BODY_2: Final = _sums(10, _strings(ALPHABET, 2))
_BODY_3: Final = _sums(12, _strings(ALPHABET, 2))
_BODY_4: Final = _sums(14, _strings(ALPHABET, 2))
_TAIL: Final = _sums(16, _strings(ALPHABET, 2))


def compact(text: str) -> str:
    """`text` without separators, in upper case."""
    return without_separators(text)


def check_character(body: str) -> str:
    """The check character of the first 17 characters. Raises KeyError for a character outside the alphabet."""
    total = sum(weight * _VALUES[one] for weight, one in zip(_WEIGHTS[:17], body, strict=True))
    return ALPHABET[-total % _MODULUS]


def error_code(text: str) -> str | None:
    """None for a clean credit code, else the error code. Lower case and separators are refused."""
    try:
        total = (
            _HEAD[text[:2]]
            + _REGION_1[text[2:5]]
            + _REGION_2[text[5:8]]
            + _BODY_1[text[8:10]]
            + _BODY_2[text[10:12]]
            + _BODY_3[text[12:14]]
            + _BODY_4[text[14:16]]
            + _TAIL[text[16:]]
        )
    except KeyError:
        return _outside_the_tables(text)
    return "E_CREDIT_CODE_CHECK_DIGIT" if total % _MODULUS else None


def _outside_the_tables(text: str) -> str | None:
    """Why the text is no credit code, or None for a code of a national registration."""
    if len(text) != _LENGTH or any(one not in _VALUES for one in text):
        return "E_CREDIT_CODE_FORM"
    if text[1] not in KINDS.get(text[0], ""):
        return "E_CREDIT_CODE_DEPARTMENT"
    if text[2:8] != NATIONAL:
        return "E_CREDIT_CODE_REGION"
    return None if check_character(text[:17]) == text[17] else "E_CREDIT_CODE_CHECK_DIGIT"


def validate(text: str) -> str:
    """The clean credit code. Raises InvalidIdentifier(E_CREDIT_CODE_…)."""
    if error_code(text) is None:
        return text
    clean = compact(text)
    code = error_code(clean)
    if code:
        raise InvalidIdentifier(code)
    return clean


def is_valid(text: str) -> bool:
    """Whether `text`, once compacted, is a credit code."""
    return error_code(text) is None or error_code(compact(text)) is None


def warnings(text: str) -> list[str]:
    """Codes of what is odd but no reason to refuse: a wrong check character of the organisation code inside.

    Empty for a text that is no credit code at all: `validate` says why.
    """
    if not is_valid(text):
        return []
    code = organisation_code.error_code(compact(text)[8:17])
    return [code] if code else []


def mask(text: str) -> str:
    """First two and last two characters, stars between: a sole trader's code points to a person."""
    return hidden(compact(text), 2, 2, _LENGTH)

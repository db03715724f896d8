"""Citizen's identification numbers (GB 11643): region of first registration, birth date, sequence, check character.

The region is the one of the day of first registration and stays for life, so neither today's counties nor those of the
birth year decide: only the province is checked. Residence permits of people from Hong Kong, Macao and Taiwan (81-83)
have the same form. Permanent residence cards of foreigners begin with 9 and are no resident ids.

Tried on generated numbers alone, against python-stdnum: no real person's number may be used.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from exchange.errors import InvalidIdentifier
from exchange.identifiers.region import PROVINCES
from exchange.identifiers.separators import hidden, without_separators

EARLIEST_BIRTH_YEAR: Final = 1840
"""Nobody born before has ever been registered."""

_ZONE: Final = ZoneInfo("Asia/Shanghai")
_LENGTH: Final = 18
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS: Final = "10X98765432"
"""By weighted sum modulo 11 (ISO 7064 MOD 11-2)."""
_DIGITS: Final = frozenset("0123456789")
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _sums(position: int, parts: Iterable[str]) -> dict[str, int]:
    """The weighted sum of each of `parts` when it stands at `position` (from 0)."""
    return {part: sum(_WEIGHTS[position + offset] * int(one) for offset, one in enumerate(part)) for part in parts}


# Sums are looked up for parts that have a meaning: seven look-ups check form, province, date and check character.
_PROVINCE: Final = _sums(0, PROVINCES)
_COUNTY_1: Final = _sums(2, (f"{pair:02d}" for pair in range(100)))
_COUNTY_2: Final = _sums(4, (f"{pair:02d}" for pair in range(100)))
_YEAR: Final = _sums(6, (str(year) for year in range(EARLIEST_BIRTH_YEAR, 10_000)))
_DAY: Final = _sums(10, (f"{month:02d}{day:02d}" for month, days in enumerate(_DAYS, 1) for day in range(1, days + 1)))
_SEQUENCE: Final = _sums(14, (f"{number:03d}" for number in range(1000)))
_LIKE_ONE: Final = re.compile(r"(?=([0-9]{17}[0-9X]))")
_YEAR_AT_START: Final = str(datetime.now(_ZONE).year)


def compact(text: str) -> str:
    """`text` without separators, X in upper case."""
    return without_separators(text)


def check_character(body: str) -> str:
    """The check character of the first 17 digits. Raises ValueError for another length or character."""
    return _CHECK_CHARACTERS[sum(weight * int(one) for weight, one in zip(_WEIGHTS, body, strict=True)) % 11]


def error_code(text: str, on: date | None = None) -> str | None:
    """None for a clean resident id, else the error code.

    A birth date after `on` is refused; without `on` that is today in Asia/Shanghai.
    """
    try:
        total = (
            _PROVINCE[text[:2]]
            + _COUNTY_1[text[2:4]]
            + _COUNTY_2[text[4:6]]
            + _YEAR[text[6:10]]
            + _DAY[text[10:14]]
            + _SEQUENCE[text[14:17]]
        )
    except KeyError:
        return _wrong_part(text)
    if len(text) != _LENGTH or text[17] not in _CHECK_CHARACTERS:
        return "E_RESIDENT_ID_FORM"
    # What the tables let pass: 29 February of a common year, and days to come.
    if text[10:14] == "0229" and not _is_leap(int(text[6:10])):
        return "E_RESIDENT_ID_BIRTH"
    if (on is not None or text[6:10] >= _YEAR_AT_START) and _is_after(text[6:14], on):
        return "E_RESIDENT_ID_BIRTH"
    return None if _CHECK_CHARACTERS[total % 11] == text[17] else "E_RESIDENT_ID_CHECK_DIGIT"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _is_after(day: str, on: date | None) -> bool:
    return day > (on or datetime.now(_ZONE).date()).strftime("%Y%m%d")


def _wrong_part(text: str) -> str:
    """Why a text that is in none of the tables is no resident id."""
    well_formed = len(text) == _LENGTH and _DIGITS.issuperset(text[:17]) and text[17] in _CHECK_CHARACTERS
    if not well_formed:
        return "E_RESIDENT_ID_FORM"
    return "E_RESIDENT_ID_BIRTH" if text[:2] in PROVINCES else "E_RESIDENT_ID_REGION"


def validate(text: str, on: date | None = None) -> str:
    """The clean resident id. Raises InvalidIdentifier(E_RESIDENT_ID_…), also when born after `on` (default: today)."""
    clean = compact(text)
    code = error_code(clean, on)
    if code:
        raise InvalidIdentifier(code)
    return clean


def is_valid(text: str, on: date | None = None) -> bool:
    """Whether `text`, once compacted, is a resident id of somebody born on `on` (default: today) or before."""
    return error_code(compact(text), on) is None


def holds_one(text: str) -> bool:
    """Whether a resident id stands somewhere in `text`, in digits of any script and with any signs between them."""
    seen = (one for one in unicodedata.normalize("NFKC", text).upper() if one.isalnum())
    digits = "".join(str(unicodedata.digit(one, one)) for one in seen)
    return any(error_code(found[1]) is None for found in _LIKE_ONE.finditer(digits))


def birth_date(text: str) -> date:
    """The birth date in a valid resident id. Raises InvalidIdentifier for another text."""
    clean = validate(text)
    return date(int(clean[6:10]), int(clean[10:12]), int(clean[12:14]))


def mask(text: str) -> str:
    """First and last character, stars between. More would let the birth date be guessed with the check character."""
    return hidden(compact(text), 1, 1, _LENGTH)

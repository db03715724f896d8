"""Identifiers of electronic licences (GB/T 36904).

`1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>`: the type is the credit code of the body that defines it and
three digits, the issuer is a credit code, the serial has 1 to 32 characters 0-9, A-Z, the version three digits from
001. The check character is ISO 7064 MOD 37,36 over type, issuer, serial and version without the dots.

Tried on generated identifiers alone, whose check characters python-stdnum computes alike: there is no public list.
"""

import re
from functools import lru_cache
from typing import Final

from exchange.errors import InvalidIdentifier
from exchange.identifiers import credit_code
from exchange.identifiers.separators import without_separators

ROOT: Final = "1.2.156.3005.2"
"""The object identifier of all electronic licences."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MODULUS: Final = len(_ALPHABET)
_START: Final = _MODULUS // 2
_DOUBLED: Final = tuple(2 * (state or _MODULUS) % (_MODULUS + 1) for state in range(_MODULUS))
_STEPS: Final = tuple(
    {one: (doubled + value) % _MODULUS for value, one in enumerate(_ALPHABET)} for doubled in _DOUBLED
)
"""ISO 7064 MOD 37,36 as a table: sum so far -> character -> sum with it. The sum with the check character is 1."""
_FORM: Final = re.compile(
    rf"{re.escape(ROOT)}\.([0-9A-Z]{{18}})([0-9]{{3}})\.([0-9A-Z]{{18}})\.([0-9A-Z]{{1,32}})\.([0-9]{{3}})\.([0-9A-Z])"
)


def compact(text: str) -> str:
    """`text` without white space and dashes, in upper case. The dots belong to it."""
    return without_separators(text)


def check_character(body: str) -> str:
    """The check character of type, issuer, serial and version, without dots. Raises KeyError for other characters."""
    return _ALPHABET[(1 - _DOUBLED[_sum(_START, body)]) % _MODULUS]


def _sum(state: int, text: str) -> int:
    for one in text:
        state = _STEPS[state][one]
    return state


@lru_cache(maxsize=4_096)
def _sum_of_bodies(definer: str, number: str, issuer: str) -> int | None:
    """The sum of type and issuer, which recur; None when one of the two bodies has no valid credit code."""
    if credit_code.error_code(definer) or credit_code.error_code(issuer):
        return None
    return _sum(_START, definer + number + issuer)


def error_code(text: str) -> str | None:
    """None for a clean licence identifier, else the error code."""
    match = _FORM.fullmatch(text)
    if not match or match[5] == "000":
        return "E_LICENCE_ID_FORM"
    definer, number, issuer, serial, version, check = match.groups()
    state = _sum_of_bodies(definer, number, issuer)
    if state is None:
        return "E_LICENCE_ID_BODY"
    return None if _sum(state, serial + version + check) == 1 else "E_LICENCE_ID_CHECK_DIGIT"


def validate(text: str) -> str:
    """The clean licence identifier. Raises InvalidIdentifier(E_LICENCE_ID_…)."""
    clean = compact(text)
    code = error_code(clean)
    if code:
        raise InvalidIdentifier(code)
    return clean


def is_valid(text: str) -> bool:
    """Whether `text`, once compacted, is a licence identifier."""
    return error_code(compact(text)) is None


def issuer(text: str) -> str:
    """The credit code of the issuer. Raises InvalidIdentifier for an invalid identifier."""
    return validate(text).removeprefix(ROOT).split(".")[2]


def mask(text: str) -> str:
    """Root, type, issuer and version as they are, the serial hidden: it may be a person's licence number."""
    clean = compact(text)
    match = _FORM.fullmatch(clean)
    if not match:
        return "*" * len(clean)
    definer, number, body, serial, version, _ = match.groups()
    return f"{ROOT}.{definer}{number}.{body}.{'*' * len(serial)}.{version}.*"

"""What people put between the characters of an identifier, and the width they type it in."""

from typing import Final

_WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_GAPS: Final = {
    ord(gap): None
    for gap in " \t\r\n\f\v\u00a0\u2002\u2003\u2009\u200b\u202f\u3000\ufeff-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d"
}
_TABLE: Final = _WIDE | _GAPS


def without_separators(text: str) -> str:
    """`text` without white space and dashes, full-width characters as ASCII, in upper case."""
    if text.isascii() and text.isalnum():
        return text.upper()  # most are clean, and this takes a quarter of the time
    return text.translate(_TABLE).upper()


def hidden(text: str, first: int, last: int, length: int) -> str:
    """`text` with stars in place of all but its `first` and `last` characters.

    A text that has not the identifier's `length` is hidden as a whole: it may be anything.
    """
    if len(text) != length:
        return "*" * len(text)
    return text[:first] + "*" * (length - first - last) + text[length - last :]

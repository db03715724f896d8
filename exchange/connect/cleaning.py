"""Cleaning of text as departments' systems hold it."""

_FULL_WIDTH = {0x3000: " ", 0xA0: " "} | {
    code: chr(code - 0xFEE0)
    for first, last in (("０", "９"), ("Ａ", "Ｚ"), ("ａ", "ｚ"))
    for code in range(ord(first), ord(last) + 1)
}
_NOTHING = frozenset({"", "N/A", "NA", "NULL", "null", "无", "—", "-"})


def text(value: object) -> str | None:
    """`value` as text, or None when it says nothing (None, empty, `N/A` …).

    Full-width digits, Latin letters and spaces become plain ones; space around the text goes. Punctuation stays: the
    full-width comma and brackets belong to Chinese text.
    """
    if value is None:
        return None
    cleaned = str(value).translate(_FULL_WIDTH).strip()
    return None if cleaned in _NOTHING else cleaned

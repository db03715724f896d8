"""Looks for values of records where none may be: in logs, metrics, errors, headers and exports."""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

SHORTEST = 6
"""Shorter values are found by accident everywhere."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


def find_leaks(texts: Mapping[str, str], values: Iterable[str]) -> dict[str, int]:
    """How many of `values` occur in each of `texts`, by its name; texts without any are absent.

    Found in either case and also when escaped as in JSON (`\\u5f20`), in a URL (`%E5%BC%A0`) or in Python's own
    notation of bytes (`\\xe5\\xbc\\xa0`).
    """
    wanted = {value.casefold() for value in values if len(value) >= SHORTEST}
    found = {name: sum(_occurring(text, wanted)) for name, text in texts.items()}
    return {name: count for name, count in found.items() if count}


def _occurring(text: str, wanted: Iterable[str]) -> Iterator[bool]:
    for reading in _readings(text):
        folded = reading.casefold()
        beginnings = {folded[at : at + SHORTEST] for at in range(len(folded) - SHORTEST + 1)}
        yield from (value in folded for value in wanted if value[:SHORTEST] in beginnings)


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and with each kind of escape resolved."""
    yield text
    if "\\u" in text:
        yield _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if "\\x" in text:
        yield _BYTES.sub(lambda found: bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "replace"), text)
    if "%" in text:
        yield unquote(text)

"""The header: the first line, checked before any row is given."""

import unicodedata
from dataclasses import dataclass

from exchange.connect.delimited.lines import Line
from exchange.connect.delimited.quotes import Grammar
from exchange.errors import ExchangeError

_OTHER_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "，": "full-width comma"}
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a file."""

    names: tuple[str, ...]
    key: tuple[int, ...]
    """Where the key columns stand; empty when none are declared."""


def read_header(line: Line, grammar: Grammar, key: tuple[str, ...]) -> Header:
    """The header that `line` is. Raises ExchangeError(E_CONNECTOR) for anything that is not surely one.

    What is wrong is told by the number of the column: the first line of a file without a header is somebody's row.
    Names that the declaration asks for are named.
    """
    if not isinstance(line, str):
        raise _refused(line.reason)
    if not line.strip():
        raise _refused("the first line is empty; the header must stand there")
    if not grammar.is_row(line):
        raise _refused("its quotation marks are not those of whole cells")
    names = tuple(grammar.cells(line))
    if len(names) == 1:
        _check_delimiter(names[0])
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        _check_name(number, name, first.setdefault(name, number))
    missing = [name for name in key if name not in names]
    if missing:
        raise _refused(f"it has no column {', '.join(missing)}, which the declaration names as key")
    return Header(names, tuple(names.index(name) for name in key))


def _check_name(number: int, name: str, first: int) -> None:
    if not name.strip():
        raise _refused(f"column {number} has no name")
    if name != name.strip():
        raise _refused(f"the name of column {number} begins or ends with a space")
    if any(unicodedata.category(character) in _UNSEEN for character in name):
        raise _refused(f"the name of column {number} holds a character that cannot be seen")
    if len(name) > _LONGEST_NAME:
        raise _refused(f"the name of column {number} is longer than {_LONGEST_NAME} characters")
    if first != number:
        raise _refused(f"column {number} has the name of column {first}")


def _check_delimiter(only: str) -> None:
    for mark, word in _OTHER_DELIMITERS.items():
        if mark in only:
            raise _refused(f"it has one column, and a {word} in its name: is that the delimiter?")


def _refused(what: str) -> ExchangeError:
    return ExchangeError("E_CONNECTOR", f"the header (line 1): {what}")

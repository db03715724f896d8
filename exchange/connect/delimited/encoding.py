"""Which characters the bytes of a file are: declared, said by a byte order mark, or UTF-8 when that is certain.

Nothing is guessed: a statistical guess is mostly right, and a register with some wrong names is worse than none.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange.errors import ExchangeError

_UTF8, _GB18030 = "utf-8", "gb18030"
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),  # before the mark of UTF-16, which is its beginning
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", _UTF8),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\x84\x31\x95\x33", _GB18030),
)
_NO_TEXT = (
    (b"\x1f\x8b", "the file is compressed: its name must end in .gz"),
    (b"PK\x03\x04", "the file is a ZIP archive or a workbook, not delimited text"),
    (b"\xd0\xcf\x11\xe0", "the file is a workbook, not delimited text"),
)
_NO_CHARACTER_SETS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape"}
"""Python decodes these; what they write is a name or a literal, not a text."""
_WIDE = {"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"}
_THREE_BYTES = re.compile(rb"[\xe0-\xf4]")
"""Begins a character of three or four bytes, in a text that is UTF-8."""
MARK_BYTES = max(len(mark) for mark, _ in _MARKS)
"""Bytes of a file's beginning that `choose` wants to see."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of one file become characters."""

    name: str
    """Python's name of it."""
    mark: int = 0
    """Bytes of the byte order mark before the text."""
    certain: bool = True
    """False: neither declared nor marked; the text has to prove that it is UTF-8 (`prove_utf8`)."""

    @property
    def wide(self) -> bool:
        """Whether a line break is more than one byte, so that lines cannot be cut before decoding."""
        return self.name in _WIDE


def check_declared(declared: str) -> str:
    """Python's name of a declared encoding. Raises ExchangeError(E_CONNECTOR) for one that lines cannot be read in.

    A file is cut into lines as bytes, so that a wrong byte costs its own line. That is right where the bytes of a line
    break stand in no other character: single bytes over ASCII, UTF-8, GBK, GB18030 (second bytes from 0x30), Big5. This
    is tried, not believed: every lead byte before a line break must leave the break alone; third and later bytes are
    lead or second bytes again in all of them. UTF-16 and UTF-32 are turned into UTF-8 first (`lines`).
    """
    try:
        name = codecs.lookup(declared).name
        name = _UTF8 if name == "utf-8-sig" else name
        if name in _NO_CHARACTER_SETS or (name not in _WIDE and not _keeps_ascii(name)):
            raise ExchangeError("E_CONNECTOR", f"a file in the encoding {name} cannot be cut into lines")
    except (LookupError, UnicodeError, TypeError):
        raise ExchangeError("E_CONNECTOR", "the declared encoding of the file is none that Python knows") from None
    return name


def _keeps_ascii(name: str) -> bool:
    ascii_bytes = bytes(range(128))
    if ascii_bytes.decode(name) != ascii_bytes.decode("ascii"):
        return False
    breaks = (bytes((lead, end)) for lead in range(128, 256) for end in b"\r\n")
    return all(found is None or found[-1:] in ("\r", "\n") for found in (_decoded(pair, name) for pair in breaks))


def _decoded(text: bytes, name: str) -> str | None:
    try:
        return text.decode(name)
    except UnicodeDecodeError:
        return None


def choose(start: bytes, declared: str | None) -> Encoding:
    """The encoding of a file that begins with `start`; `declared` is what `check_declared` gave.

    Raises ExchangeError(E_CONNECTOR) when declaration and byte order mark contradict each other, when UTF-16 or UTF-32
    is met without its byte order, and for a file that is plainly no text.
    """
    for magic, what in _NO_TEXT:
        if start.startswith(magic):
            raise ExchangeError("E_CONNECTOR", what)
    mark, marked = next((one for one in _MARKS if start.startswith(one[0])), (b"", None))
    if marked is None:
        if declared in {"utf-16", "utf-32"}:
            raise ExchangeError(
                "E_CONNECTOR", f"the file has no byte order mark: declare {declared}-le or {declared}-be"
            )
        if declared is None and b"\0" in start:
            raise ExchangeError("E_CONNECTOR", "the file holds NUL: if it is UTF-16, declare utf-16-le or utf-16-be")
        return Encoding(declared or _UTF8, certain=declared is not None)
    if declared not in {None, marked, marked[:-3]}:
        raise ExchangeError("E_CONNECTOR", f"the file begins with the mark of {marked}, and {declared} is declared")
    return Encoding(marked, len(mark))


def prove_utf8(read: Callable[[], Iterable[bytes]]) -> None:
    """Look through a file whose encoding nobody said; `read` gives its stretches, from the beginning at each call.

    ASCII reads the same in all encodings in question. Beyond it, a character of three bytes (every Chinese one) proves
    UTF-8: other encodings have no such sequences but by rare accident. Characters of two bytes prove nothing, because
    GB18030 knows nearly all of them. Single lines that are no UTF-8 are damage, which costs these lines; more of them
    than lines that prove UTF-8, or more than half of all lines, are another encoding.

    Raises ExchangeError(E_CONNECTOR) when the file need not be UTF-8.
    """
    beyond, proved, gb18030 = False, False, True
    for stretch in read():
        if stretch.isascii():
            continue
        if _decoded(stretch, _UTF8) is None:
            _weigh_lines(read())
            return
        beyond = True
        proved = proved or _THREE_BYTES.search(stretch) is not None
        gb18030 = gb18030 and not proved and _decoded(stretch, _GB18030) is not None
    if beyond and not proved and gb18030:
        raise ExchangeError("E_CONNECTOR", "the file may be in utf-8 or in gb18030, nothing tells which: declare it")


def _weigh_lines(stretches: Iterable[bytes]) -> None:
    seen = _Lines()
    for stretch in stretches:
        for line in stretch.splitlines():
            seen.add(line)
    if seen.faulty * 2 > seen.all or (seen.valid and seen.faulty > seen.proving):
        advice = "it reads as gb18030: declare that" if seen.gb18030 else "declare its encoding"
        raise ExchangeError("E_CONNECTOR", f"{seen.faulty} of {seen.all} lines of the file are no UTF-8; {advice}")


class _Lines:
    """What the lines of a file that is not all UTF-8 say about its encoding."""

    def __init__(self) -> None:
        self.all = 0
        self.valid = 0
        """Lines beyond ASCII that are UTF-8."""
        self.proving = 0
        """Lines of these with a character of three or four bytes."""
        self.faulty = 0
        self.gb18030 = True
        """Whether every faulty line can be GB18030."""

    def add(self, line: bytes) -> None:
        self.all += 1
        if line.isascii():
            return
        if _decoded(line, _UTF8) is not None:
            self.valid += 1
            self.proving += _THREE_BYTES.search(line) is not None
            return
        self.faulty += 1
        self.gb18030 = self.gb18030 and _decoded(line, _GB18030) is not None

"""From the bytes of a file to its lines, in bounded memory: what is longer than a row may be is never held."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from exchange.connect.delimited.encoding import Encoding

LONGEST_LINE = 4 << 20
"""Bytes of a line that is read."""
_BLOCK = 1 << 18
_DAMAGE = "\udcff"
"""Stands for what is no character in UTF-16 or UTF-32. Half a character itself, so that its line cannot be decoded."""
_MARK = "\ufeff"
_MARK_DAMAGE = "exchange.mark_damage"
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")


class Unreadable(NamedTuple):
    """A line that is no text."""

    reason: str
    text: str
    """What can be shown of it."""


Line = str | Unreadable
"""A physical line with its line break (LF, CR LF or CR); the last one of a file may have none."""
Read = Callable[[int], bytes]


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _DAMAGE, error.end


codecs.register_error(_MARK_DAMAGE, _mark_damage)


def stretches(start: bytes, read: Read, encoding: Encoding) -> Iterator[bytes | None]:
    """The text behind the byte order mark as stretches of whole lines; None stands for one line that is too long.

    `start` is what was read of the file already. What `read` raises goes through; the lines before it were given.
    """
    held = bytearray()
    too_long = False
    for block in _blocks(start[encoding.mark :], read, encoding):
        whole = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not whole:
            too_long = too_long or len(held) + len(block) > LONGEST_LINE
            held += block
            if too_long:
                held.clear()
            continue
        if held or too_long:
            first = _LINE_BREAK.search(block)
            end = first.end() if first else whole
            yield None if too_long or len(held) + end > LONGEST_LINE else bytes(held + block[:end])
        else:
            end = 0
        if end < whole:
            yield block[end:whole]
        held, too_long = bytearray(block[whole:]), False
    if too_long:
        yield None
    elif held:
        yield bytes(held)


def lines_of(stretch: bytes, encoding: Encoding) -> list[Line]:
    """The lines of a stretch, each with its line break. What is no text is `Unreadable`."""
    name = "utf-8" if encoding.wide else encoding.name
    try:
        text = stretch.decode(name)
    except UnicodeDecodeError:
        return [_line(line, name, encoding) for line in stretch.splitlines(keepends=True)]
    found: list[Line] = [*io.StringIO(text, newline="")]
    return found if "\0" not in text and _MARK not in text else [_checked(line) for line in found]


def _line(line: bytes, name: str, encoding: Encoding) -> Line:
    try:
        return _checked(line.decode(name))
    except UnicodeDecodeError as error:
        where = "" if encoding.wide else f"byte {error.start + 1} "
        return Unreadable(f"{where}is no text in {encoding.name}", line.decode(name, errors="replace"))


def _checked(line: Line) -> Line:
    if isinstance(line, str) and "\0" in line:
        return Unreadable("a NUL character", line)
    if isinstance(line, str) and line.startswith(_MARK):
        return Unreadable("a byte order mark: another file begins here", line)
    return line


def _blocks(start: bytes, read: Read, encoding: Encoding) -> Iterator[bytes]:
    """The text in blocks, none of which ends between CR and LF; UTF-16 and UTF-32 as UTF-8."""
    convert = _to_utf8(encoding.name) if encoding.wide else _as_it_is
    held = b""
    for block in chain((start,), iter(lambda: read(_BLOCK), b"")):
        text = held + convert(block, False)
        held = b"\r" if text.endswith(b"\r") else b""
        if len(text) > len(held):
            yield text[: len(text) - len(held)]
    rest = held + convert(b"", True)
    if rest:
        yield rest


def _as_it_is(block: bytes, _final: bool) -> bytes:
    return block


def _to_utf8(name: str) -> Callable[[bytes, bool], bytes]:
    decoder = codecs.getincrementaldecoder(name)(errors=_MARK_DAMAGE)
    return lambda block, final: decoder.decode(block, final).encode("utf-8", errors="surrogatepass")

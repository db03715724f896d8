"""Whether what a grantee has seen of one key is right. Shares no code with the delivery line."""

from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")


def fault(received: Sequence[Value | None], shown: Sequence[Value | None]) -> str | None:
    """What is wrong with the records of one key in a share; None when nothing is.

    received: values and tombstones (None), as they stand there. shown: what each version that the grantee may see
    shows it, oldest first; None for a version that is withdrawn or out of scope. Versions may be left out, as
    compaction does, but the last one counts. Of two equal versions the first is meant.
    """
    held, at = False, 0
    for value in received:
        if value is None:
            if not held:
                return "a tombstone for what was not held"
            held = False
            continue
        while at < len(shown) and shown[at] != value:
            at += 1
        if at == len(shown):
            return "a version that was doubled, is out of order or not to be seen"
        held, at = True, at + 1
    last = shown[-1] if shown else None
    if last is None:
        return "a record that should be gone" if held else None
    return None if received and received[-1] == last else "not the last version"

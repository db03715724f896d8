"""Python's collector of cycles, told that a ledger is being replayed."""

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 10, 10


def collect_rarely() -> None:
    """Look for cycles less often, in the whole process.

    A replay makes millions of objects that stay and none that refer to each other in a circle. With the thresholds that
    Python begins with, a fifth of its time went into looking at them again and again.
    """
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)

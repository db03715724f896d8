"""When a line's process collects garbage: never in the middle of its work."""

import gc
from types import TracebackType
from typing import Self

from exchange.clock import Every

_REST_SECONDS = 60.0


class GarbageCollection:
    """By hand while this context lasts.

    The hot path makes no cycles, and a full collection over a unit's memory costs seconds.
    """

    def __init__(self) -> None:
        self._resting = Every(_REST_SECONDS)

    def __enter__(self) -> Self:
        gc.disable()
        self._resting.done()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        gc.enable()

    def freeze(self) -> None:
        """Everything is built: what there is now stays and need not be looked at again."""
        gc.collect()
        gc.freeze()

    def rest(self) -> None:
        """Nothing to do: a good moment to collect what little garbage there is."""
        if self._resting.due:
            self._resting.done()
            gc.collect()

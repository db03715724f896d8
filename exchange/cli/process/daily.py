"""A running connector compares itself once a day, in a thread of its own beside its line."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exchange.connect.find import Connector
from exchange.settings import Settings

if TYPE_CHECKING:
    from exchange.reconcile.result import Finding

_LEAVE_SECONDS = 5.0
_PATIENCE_SECONDS = 300.0
"""Nobody waits for it: what is on its way may arrive."""


@contextmanager
def reconciled_daily(connector: Connector, settings: Settings) -> Iterator[None]:
    """Compare once a day while the block runs."""
    ended = threading.Event()

    def wait() -> None:
        # Loaded in the thread: the line begins first. The parts of a comparison come when the first one is made.
        from exchange.reconcile.daily import every_day  # noqa: PLC0415

        every_day(connector.name, lambda: _compare(connector, settings, ended), ended)

    waiting = threading.Thread(target=wait, name=f"reconcile {connector.name}", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        waiting.join(_LEAVE_SECONDS)


def _compare(connector: Connector, settings: Settings, stop: threading.Event) -> "list[Finding]":
    from exchange.reconcile.halves import reconcile_all  # noqa: PLC0415
    from exchange.reconcile.sink import Pace  # noqa: PLC0415
    from exchange.web.client import ApiClient  # noqa: PLC0415

    with ApiClient(settings.api) as api:
        return reconcile_all(connector, settings, api, Pace(_PATIENCE_SECONDS, stop=stop))

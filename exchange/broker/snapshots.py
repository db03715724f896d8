"""Snapshots of the ledger, made while an instance leads: by a process of its own, so that no command waits for one."""

import subprocess
import sys
import threading

from exchange.clock import Every
from exchange.ledger.snapshot.topic import Snapshots
from exchange.observe.logs import get_logger

EVERY_EVENTS = 50_000
"""After so many events the next one is made: reading these takes a second or two."""
_AGAIN_SECONDS = 600.0
"""After one that failed."""
_WATCH_SECONDS = 0.5
_COMMAND = (sys.executable, "-m", "exchange", "ledger", "snapshot")
"""It has the settings of this process, from the same environment."""
_log = get_logger("exchange.ledger")


class SnapshotKeeper:
    """Has snapshots made. For one thread."""

    def __init__(self, snapshots: Snapshots, stop: threading.Event, command: tuple[str, ...] = _COMMAND) -> None:
        self._snapshots = snapshots
        self._stop = stop
        self._command = command
        self._tries = Every(_AGAIN_SECONDS)

    def look(self, seq: int) -> None:
        """Have one made when the newest one is too old; seq: of the ledger's last event."""
        if seq < EVERY_EVENTS or not self._tries.due:
            return
        made = max((manifest.seq for _, manifest in self._snapshots.manifests()), default=0)
        if seq - made < EVERY_EVENTS:
            return
        self._tries.done()
        if self._made():
            self._tries = Every(_AGAIN_SECONDS)

    def _made(self) -> bool:
        """Run the command to its end, or until the service stops."""
        with subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
            while child.poll() is None and not self._stop.wait(_WATCH_SECONDS):
                pass
            if child.poll() is None:
                child.terminate()
        if child.returncode:
            _log.error("ledger.snapshot-failed", status=child.returncode)
        else:
            _log.info("ledger.snapshot-made")
        return child.returncode == 0

"""When the leader has a snapshot made, and what comes of one that fails."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exchange.broker.snapshots import EVERY_EVENTS, SnapshotKeeper
from exchange.ledger.snapshot.manifest import Manifest
from exchange.ledger.snapshot.topic import Snapshots

MADE = Manifest("form", EVERY_EVENTS, "a" * 64, 7, 0, ())


class Kept(Snapshots):
    """Snapshots with a manifest, or none."""

    def __init__(self, *manifests: Manifest) -> None:
        self.kept = manifests
        self.looks = 0

    def manifests(self) -> list[tuple[bytes, Manifest]]:
        self.looks += 1
        return [(b"a", one) for one in self.kept]


def keeper(kept: Kept, code: str, stop: threading.Event | None = None) -> SnapshotKeeper:
    return SnapshotKeeper(kept, stop or threading.Event(), (sys.executable, "-c", code))


@pytest.mark.parametrize(
    ("seq", "made", "wanted"),
    [
        (EVERY_EVENTS - 1, (), False),
        (EVERY_EVENTS, (), True),
        (2 * EVERY_EVENTS - 1, (MADE,), False),
        (2 * EVERY_EVENTS, (MADE,), True),
        (3 * EVERY_EVENTS, (MADE, replace(MADE, seq=2 * EVERY_EVENTS + 1)), False),
    ],
)
def test_one_is_made_when_the_newest_is_too_old(
    seq: int, made: tuple[Manifest, ...], wanted: bool, tmp_path: Path
) -> None:
    file = tmp_path / "made"

    keeper(Kept(*made), f"open({str(file)!r}, 'w')").look(seq)

    assert file.exists() == wanted


def test_one_that_failed_is_not_tried_again_at_once() -> None:
    kept = Kept()
    keeping = keeper(kept, "raise SystemExit(3)")

    with capture_logs() as logs:
        keeping.look(EVERY_EVENTS)
        keeping.look(EVERY_EVENTS)

    assert kept.looks == 1
    assert [entry["event"] for entry in logs] == ["ledger.snapshot-failed"]


def test_the_end_of_the_service_ends_it() -> None:
    stop = threading.Event()
    stop.set()

    keeper(Kept(), "import threading; threading.Event().wait()", stop).look(EVERY_EVENTS)

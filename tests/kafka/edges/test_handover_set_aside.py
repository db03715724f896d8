"""What a sink's table refuses waits and is applied later: on a real Kafka and a real PostgreSQL."""

from collections.abc import Callable

import pytest

from exchange.faults.log import item_of
from exchange.handover import grants, set_aside
from exchange.kafka.admin.admin import Acl, Admin
from exchange.names import ShareName, share_topic
from tests.harness.kafka.sink import Desk, Running

pytestmark = [
    pytest.mark.kafka,
]
STRICT = "ALTER TABLE companies ADD CONSTRAINT short CHECK (length(name) <= 5)"
MENDED = "ALTER TABLE companies DROP CONSTRAINT short"


@pytest.fixture
def strict(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A department whose table takes names of at most five characters."""
    monkeypatch.setattr(set_aside, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(grants, "_LOOK_SECONDS", 0.2)
    desk.run()
    execute(desk, STRICT)
    return desk


def execute(desk: Desk, statement: str) -> None:
    with desk.connect() as connection:
        connection.execute(statement)


def ask(desk: Desk) -> None:
    """As the command does: have all that waits tried again."""
    execute(desk, "UPDATE exchange_set_aside SET asked = true")


def has(desk: Desk, *rows: tuple[str, str]) -> Callable[[], bool]:
    return lambda: desk.rows() == list(rows)


def waiting(desk: Desk) -> int:
    return sum(one.set_aside for one in desk.receipts().values())


def told(desk: Desk, key: str) -> list[str]:
    """What the department's faults say of a record, in their order."""
    name = item_of(f"{desk.department}.companies", key)
    return [fault.get("settled", fault.get("code")) for fault in desk.faults() if fault["item"] == name]


def test_what_the_table_refused_is_applied_when_it_is_mended_and_the_log_and_receipts_say_so(strict: Desk) -> None:
    strict.send(strict.company("A", "too long"), strict.company("B", "two"))
    with Running(strict) as running:
        running.until(has(strict, ("B", "two")))
        running.until(lambda: waiting(strict) == 1)
        assert told(strict, "A") == ["E_APPLY"]
        execute(strict, MENDED)
        ask(strict)
        running.until(has(strict, ("A", "too long"), ("B", "two")))
        running.until(lambda: told(strict, "A") == ["E_APPLY", "applied"])
        running.until(lambda: waiting(strict) == 0)
    assert running.ended is None


def test_a_newer_version_settles_the_one_that_waited(strict: Desk) -> None:
    strict.send(strict.company("A", "too long"))
    with Running(strict) as running:
        running.until(lambda: waiting(strict) == 1)
        strict.send(strict.company("A", "short"))
        running.until(has(strict, ("A", "short")))
        running.until(lambda: told(strict, "A") == ["E_APPLY", "replaced"])
        running.until(lambda: waiting(strict) == 0)
        execute(strict, MENDED)
        strict.send(strict.company("B", "two"))
        running.until(has(strict, ("A", "short"), ("B", "two")))
    assert running.ended is None


def test_a_withdrawal_settles_the_version_that_waited(strict: Desk) -> None:
    strict.send(strict.company("A", "too long"))
    strict.run()
    execute(strict, MENDED)
    strict.send(("A", None))
    strict.run()
    assert strict.rows() == []
    assert told(strict, "A") == ["E_APPLY", "replaced"]


def test_what_waits_is_applied_at_the_start_after_a_suspension(strict: Desk, admin: Admin) -> None:
    strict.send(strict.company("A", "too long"))
    with Running(strict) as running:
        running.until(lambda: waiting(strict) == 1)
        strict.activate(False)
        admin.revoke([Acl(strict.department, "topic", strict.topic, "read")])
        running.until(lambda: running.ended is not None)
    execute(strict, MENDED)
    assert strict.rows() == []
    admin.grant(strict.reads(strict.department))
    strict.activate()
    strict.run()
    assert strict.rows() == [("A", "too long")]
    assert told(strict, "A") == ["E_APPLY", "applied"]
    assert waiting(strict) == 0


def test_what_the_next_share_of_an_amended_grant_does_not_bring_is_never_applied(strict: Desk, admin: Admin) -> None:
    strict.send(strict.company("A", "too long"), strict.company("B", "two"))
    with Running(strict) as running:
        running.until(lambda: waiting(strict) == 1)
        strict.topic = share_topic(ShareName(f"{strict.department}-next"))
        strict.open(admin, active=False)
        strict.send(strict.company("B", "new"))
        execute(strict, MENDED)
        strict.activate()
        running.until(has(strict, ("B", "new")))
        running.until(lambda: waiting(strict) == 0)
    strict.run()
    assert strict.rows() == [("B", "new")]

from typing import Any

import structlog

from exchange.broker.departments.tokens import IssueToken
from exchange.broker.heads import HeadLog
from tests.harness.memory.ledger import MemoryLedger


def told(logs: list[Any]) -> list[str]:
    return [entry["head"] for entry in logs if entry["event"] == "ledger.head"]


def test_the_head_is_told_once_a_day_and_by_each_new_leader() -> None:
    ledger = MemoryLedger()
    with structlog.testing.capture_logs() as logs:
        log = HeadLog(ledger.clock)
        ledger.read(log.note)
        assert told(logs) == []
        ledger.execute(IssueToken("auditor", None, "digest"))
        ledger.read(log.note)
        ledger.execute(IssueToken("auditor", None, "another"))
        ledger.clock.forward(hours=7)
        ledger.read(log.note)
        ledger.clock.forward(hours=17)
        ledger.read(log.note)
        ledger.read(HeadLog(ledger.clock).note)
    head = f"2:{ledger.state.head}"
    assert told(logs) == [f"1:{ledger.events[0].hash}", head, head]

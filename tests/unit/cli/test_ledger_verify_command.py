"""`exchange ledger verify` on an export finds every kind of damage and says where it is."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from exchange.cli.main import app
from exchange.cli.output import DOES_NOT_HOLD, USAGE
from exchange.ledger.events.event import LedgerEvent, write_line
from exchange.ledger.verify import Head
from tests.harness.ledger.damage import DAMAGES, EVENTS, Damage
from tests.harness.memory.ledger import chain

Check = Callable[..., Result]


@pytest.fixture
def events() -> list[LedgerEvent]:
    return chain([("demand-refused", {"demand": f"d-{number}", "reason": "why"}) for number in range(EVENTS)])


@pytest.fixture
def head(events: list[LedgerEvent]) -> str:
    """The head that was published."""
    return str(Head(events[-1].seq, events[-1].hash))


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def check(events: Sequence[LedgerEvent], *options: str) -> Result:
        file = tmp_path / "ledger.jsonl"
        file.write_text("".join(write_line(event) for event in events), encoding="utf-8")
        return CliRunner().invoke(app, ["ledger", "verify", "--from", str(file), *options])

    return check


def test_a_whole_ledger_is_told_with_its_head(events: list[LedgerEvent], head: str, check: Check) -> None:
    for options in ((), ("--head", head), ("--head", f"2:{events[1].hash}")):
        result = check(events, *options)
        assert (result.exit_code, head in result.stdout) == (0, True)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_ledger_is_found_and_where(
    damage: Damage, events: list[LedgerEvent], head: str, check: Check
) -> None:
    result = check(damage.do(events), *(("--head", head) if damage.needs_head else ()))
    assert result.exit_code == DOES_NOT_HOLD
    assert "E_LEDGER_BROKEN" in result.stderr
    assert damage.where in " ".join(result.stderr.split())
    assert check(damage.do(events)).exit_code == (0 if damage.needs_head else DOES_NOT_HOLD)


def test_a_head_of_another_form_is_wrong_usage(events: list[LedgerEvent], check: Check) -> None:
    assert check(events, "--head", "5").exit_code == USAGE

"""Commands take a moment with its zone or a plain day, and nothing else for one; then nothing is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.cli.output import USAGE
from exchange.errors import ExchangeError

ODD = [
    "20261128",
    "2026",
    "1767225600",
    "2026-11-28T08:00:00",
    "2026-W48-6",
    "2026-02-30",
    "9999-12-31",
    "now",
    "",
    " ",
]
ODD += ["9999-12-31T23:59:59-14:00", "1969-12-31T00:00:00Z", "2026-11-28T24:00:00Z", "2026-11-28 08:00:00+08:00"]
SUBMIT = ["demand", "submit", "name", "--resource", "102001/1"]
COMMANDS: dict[str, list[str]] = {
    "use_from": [*SUBMIT, "--use-from"],
    "use_until": [*SUBMIT, "--use-until"],
    "renewed until": ["demand", "renew", "d-1", "--use-until"],
    "consent until": ["demand", "consent", "d-1", "--until"],
    "quarantine list": ["quarantine", "list", "--since"],
    "quarantine redrive": ["quarantine", "redrive", "--department", "health", "--since"],
    "quarantine discard": ["quarantine", "discard", "--department", "health", "--reason", "r", "--since"],
    "rate at": ["ledger", "rate", "--from", "EXPORT", "--at"],
    "rate since": ["ledger", "rate", "--from", "EXPORT", "--until", "2026-12-31", "--since"],
    "rate until": ["ledger", "rate", "--from", "EXPORT", "--since", "2026-01-01", "--until"],
    "report at": ["report", "--year", "2026", "--from", "EXPORT", "--at"],
    "reread since": ["connector", "reread", "health.deaths", "--since"],
}


class Api:
    """Stands for the broker service, and keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def post(self, _path: str, body: dict[str, Any], _key: str | None = None) -> dict[str, Any]:
        self.sent.append(body)
        raise ExchangeError("E_API_UNREACHABLE", "it was only to be asked")

    def pages(self, _path: str, **filters: Any) -> Iterator[dict[str, Any]]:
        self.sent.append(filters)
        yield {"items": [], "next": None, "counts": None}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    made = Api()

    @contextmanager
    def connect() -> Iterator[Api]:
        yield made

    for module in ("broker.quarantine", "demand.command", "demand.arguments"):
        monkeypatch.setattr(f"exchange.cli.{module}.connect", connect)
    structlog.reset_defaults()
    yield made
    structlog.reset_defaults()


def run(arguments: list[str], tmp_path: Path) -> Any:
    export = tmp_path / "ledger.jsonl"
    export.touch()
    return CliRunner().invoke(app, [str(export) if one == "EXPORT" else one for one in arguments])


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("text", ODD)
def test_a_command_takes_no_other_text_for_a_moment(api: Api, tmp_path: Path, command: list[str], text: str) -> None:
    done = run([*command, text], tmp_path)
    assert done.exit_code == USAGE, done.output
    told = done.output.replace("2026-11-24T08:00:00+08:00", "").replace("2026-11-24", "")
    assert f"E_REQUEST: {command[-1]} is a moment" in told
    assert len(text) < 5 or text not in told
    assert api.sent == []


@pytest.mark.parametrize(
    ("name", "member", "meant"),
    [
        ("use_from", "use_from", "2026-12-01T00:00:00+08:00"),
        ("use_until", "use_until", "2026-12-02T00:00:00+08:00"),
        ("renewed until", "use_until", "2026-12-02T00:00:00+08:00"),
        ("consent until", "until", "2026-12-02T00:00:00+08:00"),
        ("quarantine list", "since", "2026-12-01T00:00:00+08:00"),
        ("quarantine redrive", "since", "2026-12-01T00:00:00+08:00"),
        ("quarantine discard", "since", "2026-12-01T00:00:00+08:00"),
    ],
)
def test_a_day_is_one_of_shanghai_and_a_last_day_is_part_of_it(
    api: Api, tmp_path: Path, name: str, member: str, meant: str
) -> None:
    run([*COMMANDS[name], "2026-12-01"], tmp_path)
    run([*COMMANDS[name], "2026-11-30t16:00:00z"], tmp_path)
    assert [sent[member] for sent in api.sent] == [meant, "2026-11-30T16:00:00+00:00"]


def test_a_rate_over_days_is_one_over_the_whole_of_both(tmp_path: Path) -> None:
    done = run(
        [
            "ledger",
            "rate",
            "--from",
            "EXPORT",
            "--since",
            "2026-01-01",
            "--until",
            "2026-12-31",
            "--at",
            "2026-11-28",
            "--json",
        ],
        tmp_path,
    )
    of_year = run(["ledger", "rate", "--from", "EXPORT", "--year", "2026", "--at", "2026-11-28", "--json"], tmp_path)
    assert done.exit_code == of_year.exit_code == 0, done.output
    assert done.output == of_year.output

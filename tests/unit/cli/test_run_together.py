"""`exchange run` with several connectors: one department, one end."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    return CliRunner(env={"EXCHANGE_METRICS__PORT": "0", "EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path)})


def test_connectors_of_two_departments_share_no_process(runner: CliRunner) -> None:
    done = runner.invoke(app, ["run", "taxation.companies", "health.deaths"])
    assert done.exit_code != 0
    assert "E_CONNECTOR" in done.output + str(done.exception)


def test_when_one_of_several_connectors_cannot_go_on_all_end(runner: CliRunner) -> None:
    """The sink would wait for its broker service for ever; the source has no secret."""
    own = {"EXCHANGE_API__TOKEN": "t", "EXCHANGE_API__URL": "http://127.0.0.1:1"}
    done = runner.invoke(app, ["run", "public-security.births", "public-security.residents"], env=own)
    assert done.exit_code != 0
    assert "password is not set" in done.output

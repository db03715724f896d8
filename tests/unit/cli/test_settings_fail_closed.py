"""Settings that are wrong are told in a sentence with a code, and the process ends with status 2; none is guessed."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from exchange import settings
from exchange.cli.main import app
from exchange.errors import ExchangeError

SECRET = "a-secret-that-nobody-may-see"
COMMANDS = (["serve"], ["admit"], ["deliver"], ["run", "taxation.companies"], ["demand", "list"], ["token", "list"])
WRONG = {
    "a section's name is misspelt": ({"EXCHANGE_KAFKA__USRNAME": SECRET}, "EXCHANGE_KAFKA__USERNAME is meant"),
    "one underscore is missing": ({"EXCHANGE_KAFKA_PASSWORD": SECRET}, "EXCHANGE_KAFKA__PASSWORD is meant"),
    "a section is misspelt": ({"EXCHANGE_KAKFA__USERNAME": SECRET}, "EXCHANGE_KAFKA__USERNAME is meant"),
    "a section does not exist": ({"EXCHANGE_NOWHERE__AT_ALL": SECRET}, "EXCHANGE_NOWHERE__AT_ALL is no setting"),
    "a name is misspelt": ({"EXCHANGE_LOGLEVEL": "debug"}, "EXCHANGE_LOG_LEVEL is meant"),
    "a level is none": ({"EXCHANGE_LOG_LEVEL": SECRET}, "log_level"),
    "a section as JSON is none": ({"EXCHANGE_KAFKA": f"{{{SECRET}"}, "no JSON"),
    "the file is missing": ({"EXCHANGE_CONFIG": "/nowhere/at-all.toml"}, "cannot be read: No such file"),
    "the file is a folder": ({"EXCHANGE_CONFIG": "/"}, "cannot be read: Is a directory"),
    "in clear to another machine": (
        {"EXCHANGE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT", "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1,k:2"},
        "in clear",
    ),
    "in clear without a secret": (
        {"EXCHANGE_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT", "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": "10.0.0.1:9092"},
        "in clear",
    ),
    "a protocol is none": ({"EXCHANGE_KAFKA__SECURITY_PROTOCOL": "ssl"}, "kafka.security_protocol"),
    "an address is none": ({"EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": "kafka 9092"}, "host:port"),
    "a port is none": ({"EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": "kafka:92929"}, "host:port"),
    "there is no address": ({"EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": ""}, "host:port"),
    "a port is no number": ({"EXCHANGE_HTTP__PORT": SECRET}, "http.port"),
}


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    handlers = logging.root.handlers
    yield
    structlog.reset_defaults()
    logging.root.handlers = handlers


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_wrong_ends_every_command_with_status_2(what: str, command: list[str]) -> None:
    environment, says = WRONG[what]
    done = CliRunner(env=environment).invoke(app, command)
    told = " ".join(done.output.split())
    assert done.exit_code == 2, told
    assert told.startswith("E_SETTINGS: ")
    assert says in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[kafka]\nusrname = 'x'\n", "kafka.usrname"),
        ("[kakfa]\nusername = 'x'\n", "kakfa"),
        (f"[kafka\nusername = '{SECRET}'", "no TOML (at line 1, column 7)"),
        ("log_level = 'loud'", "log_level"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_by_its_name_or_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "exchange.toml"
    file.write_text(text)
    done = CliRunner(env={"EXCHANGE_CONFIG": str(file)}).invoke(app, ["demand", "list"])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert SECRET not in done.output


def test_a_file_that_is_no_utf_8_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "exchange.toml"
    file.write_bytes(b"log_level = '\xff'")
    monkeypatch.setenv("EXCHANGE_CONFIG", str(file))
    with pytest.raises(ExchangeError, match=r"^E_SETTINGS: .*UTF-8"):
        settings.load()


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1", "Address already in use"),
        ("no-such-host.invalid", "EXCHANGE_HTTP__HOST"),
        ("x" * 300, "E_SETTINGS"),
        ("999.1.1.1", "EXCHANGE_HTTP__HOST"),
        ("8.8.8.8", "EXCHANGE_HTTP__HOST"),
    ],
)
def test_where_the_service_cannot_listen_is_told(host: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner(env={"EXCHANGE_HTTP__HOST": host, "EXCHANGE_HTTP__PORT": port}).invoke(app, ["serve"])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_what_is_right_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": "localhost:1, 127.0.0.2:2,[::1]:3",
        "EXCHANGE_LOG_LEVEL": "Warning",
        "exchange_kafka__username": "somebody",
        "EXCHANGE_FAULT_SEED": "1",
        "EXCHANGE_PORT_8400_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    found = settings.load()
    assert (found.log_level, found.kafka.username) == ("warning", "somebody")


@pytest.mark.parametrize("name", ["EXCHANGE_CI", "EXCHANGE_HOST", "EXCHANGE_RATE"])
def test_a_variable_of_another_program_is_no_fault_of_ours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert settings.load() == settings.Settings()

"""A secret that changes: read anew for every client, and given to one that was refused, between its calls."""

from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection, Login
from exchange.settings import KafkaSettings


class Client:
    """The one call of a client that is of interest here."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []

    def set_sasl_credentials(self, username: str, password: str) -> None:
        self.given.append((username, password))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "kafka.secret"
    file.write_text("first\n", encoding="utf-8")
    return file


@pytest.fixture
def connection(file: Path) -> Connection:
    return Connection.of(KafkaSettings(username="taxation", password_file=file))


def refuse(login: Login) -> None:
    login(KafkaError(KafkaError._AUTHENTICATION))


def test_every_client_is_built_with_the_secret_of_now_and_no_repr_shows_it(connection: Connection, file: Path) -> None:
    assert connection.config()["sasl.password"] == "first"
    file.write_text("second", encoding="utf-8")
    assert connection.config()["sasl.password"] == "second"
    assert "second" not in repr(connection)
    file.unlink()
    with pytest.raises(ExchangeError, match="E_KAFKA_REFUSED"):  # which waits for who was let in before
        connection.config()


def test_a_refused_client_is_given_a_new_secret_once(connection: Connection, file: Path) -> None:
    login, client = Login(connection), Client()
    file.write_text("second", encoding="utf-8")
    login.renew(client)
    assert client.given == []
    refuse(login)
    login.renew(client)
    refuse(login)
    login.renew(client)
    assert client.given == [("taxation", "second")]


def test_a_client_keeps_its_secret_while_the_file_is_empty_or_away(connection: Connection, file: Path) -> None:
    login, client = Login(connection), Client()
    file.write_text("", encoding="utf-8")
    refuse(login)
    login.renew(client)
    file.unlink()
    refuse(login)
    login.renew(client)
    assert client.given == []


def test_a_new_secret_is_tried_before_a_login_counts_as_refused(connection: Connection, file: Path) -> None:
    login = Login(connection)
    for _ in range(3):
        refuse(login)
    file.write_text("second", encoding="utf-8")
    login.renew(Client())
    login.check()
    for _ in range(3):
        refuse(login)
    login.renew(Client())
    with pytest.raises(ExchangeError, match="E_KAFKA_REFUSED"):
        login.check()

"""How a process reaches Kafka, and as whom."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaError
from pydantic import SecretStr

from exchange import settings as settings_module
from exchange.errors import ExchangeError
from exchange.observe.logs import scrubbed
from exchange.settings import KafkaSettings

_CALLBACKS = ("error_cb", "on_commit", "on_delivery")
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)
_REFUSED_OFTEN = 3
ANSWER_MS, _LET_IN_MS = 15_000, 8_000
"""How long a broker may take to answer, and to let a client in. A frozen one takes connections and answers nothing:
with the client's own 60 and 30 seconds, readers of three nodes stood still for 61 seconds and longer, with these for 17
(the other nodes need 9 to notice)."""
_WHAT = "the Kafka password"
_log = structlog.get_logger("exchange.kafka")


def log_client_error(error: KafkaError) -> None:
    """Note what the client says of itself. Without such a callback, fatal errors raise in poll: keep it trivial."""
    told = {"fatal": error.fatal(), "retriable": error.retriable(), "text": scrubbed(error.str())}
    _log.warning("kafka.client", error=error.name(), **told)


class Login:
    """A client's `error_cb` that knows whether Kafka lets it in: the calls themselves only say that nobody answers.

    Only a client that was never answered is refused, and not at the first refusal: a broker that is starting may
    not know anybody yet, and one that has served us will do so again.

    A secret may change while a client works. After a refusal `renew` reads the secret's file again, and the client goes
    on with what stands there now: positions, transactions and what is on its way stay as they are.
    """

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._secret = connection.secret_or_none()
        self._refusals = 0
        self._refused = False
        """Since the secret was read."""
        self._answered = False
        self._away = False

    def __call__(self, error: KafkaError) -> None:
        """Note what the client says of itself."""
        log_client_error(error)
        if error.code() in _REFUSALS:
            self._refusals += 1
            self._refused = True
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = True

    def renew(self, client: Any) -> None:
        """Give the client another secret, when it was refused and there is one.

        To be called between its calls: within a callback the client cannot take a secret.
        """
        if not self._refused:
            return
        self._refused = False
        secret = self._connection.secret_or_none()
        if secret not in ("", self._secret):
            client.set_sasl_credentials(self._connection.username, secret)
            self._secret, self._refusals = secret, 0
            _log.info("kafka.secret-renewed", principal=self._connection.username)

    @property
    def served(self) -> bool:
        """Whether Kafka has served this client."""
        return self._answered

    @property
    def lapsed(self) -> bool:
        """Whether Kafka has refused a client that it had served; it waits for another secret since."""
        return self._answered and self._refusals > 0

    @property
    def away(self) -> bool:
        """Whether no broker has answered since the client said that all of them are down."""
        return self._away

    def answered(self) -> None:
        """Kafka has served this client."""
        self._answered = True
        self._away = False
        self._refusals = 0

    def check(self) -> None:
        """Raises ExchangeError(E_KAFKA_REFUSED) when Kafka lets this client in no more than it ever did."""
        if self._refusals >= _REFUSED_OFTEN and not self._answered:
            raise ExchangeError("E_KAFKA_REFUSED", f"the login of {self._connection.username}")


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and identity of one principal. Its repr holds no secret."""

    bootstrap_servers: str
    security_protocol: str
    mechanism: str
    username: str
    ca_file: Path | None
    _password: str
    _file: Path | None = None
    """Where the secret is read anew for every client; None when it cannot change."""

    def __repr__(self) -> str:
        return f"Connection({self.username}@{self.bootstrap_servers})"

    @classmethod
    def of(cls, settings: KafkaSettings) -> "Connection":
        """The connection of this process's own principal. Raises ExchangeError(E_SETTINGS) without a secret."""
        password = settings_module.secret(settings.password, settings.password_file, _WHAT)
        return replace(cls.as_principal(settings, settings.username, password), _file=settings.password_file)

    @classmethod
    def as_principal(cls, settings: KafkaSettings, username: str, password: str) -> "Connection":
        """A connection to the same Kafka as another principal."""
        return cls(
            settings.bootstrap_servers,
            settings.security_protocol,
            settings.sasl_mechanism,
            username,
            settings.ca_file,
            password,
        )

    def secret(self) -> str:
        """The secret as it is now. Raises ExchangeError(E_SETTINGS) when its file cannot be read."""
        return settings_module.secret(SecretStr(self._password), self._file, _WHAT) if self._file else self._password

    def secret_or_none(self) -> str:
        """The secret as it is now; empty while its file is being replaced."""
        try:
            return self.secret()
        except ExchangeError as error:
            _log.warning("kafka.secret-unread", code=error.code, detail=error.detail)
            return ""

    def config(self, **options: Any) -> dict[str, Any]:
        """A client configuration. `options` are librdkafka's names with `_` for `.` (`group_id="x"`).

        Raises ExchangeError(E_KAFKA_REFUSED) without a secret.
        """
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "client.id": self.username,
            "error_cb": log_client_error,
            "log_level": 0,  # the client's own lines on stderr are neither JSON nor free of surprises; error_cb tells
            "reconnect.backoff.max.ms": 2000,
            "socket.timeout.ms": ANSWER_MS,
            "socket.connection.setup.timeout.ms": _LET_IN_MS,
        }
        if self.security_protocol.startswith("SASL"):
            config["sasl.mechanism"] = self.mechanism
            config["sasl.username"] = self.username
            config["sasl.password"] = self.secret_or_none()
            if not config["sasl.password"]:  # its file is being written
                raise ExchangeError("E_KAFKA_REFUSED", f"{self.username} has no secret")
        if self.ca_file is not None:
            config["ssl.ca.location"] = str(self.ca_file)
        config.update({_spelt(name): value for name, value in options.items()})
        return config


def _spelt(option: str) -> str:
    """An option as the client spells it: callbacks keep their underscores."""
    return option if option in _CALLBACKS else option.replace("_", ".")

"""Settings: environment variables with prefix EXCHANGE_, or a TOML file named by EXCHANGE_CONFIG. One model."""

import os
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from exchange.errors import ExchangeError

_ROOT = Path(__file__).resolve().parent
CONFIG_VARIABLE = "EXCHANGE_CONFIG"
_PREFIX = "EXCHANGE_"
_ALIKE = 0.85
_LONGEST_NAME = 80
_IN_CLEAR = ("PLAINTEXT", "SASL_PLAINTEXT")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65_535
_LINE = re.compile(r" \(at line \d+, column \d+\)")
_WORKERS_METRICS_PORT = 9400
_BROKERS_METRICS_PORT = 8401


def _shipped(folder: str) -> Path:
    """A folder beside the package in a checkout, or inside it in an installed wheel."""
    beside = _ROOT.parent / folder
    return beside if beside.is_dir() else _ROOT / f"_{folder}"


def _host(address: str) -> str | None:
    """The host of `host`, `host:port` or `[v6]:port`; None for what is no such address."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"] or 0) > _LAST_PORT:
        return None
    return found["v6"] or found["host"]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Section(BaseModel):
    """What settings of one kind share: a name that is none of theirs is refused, not left out of account."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
    """How to reach Kafka, and as whom."""

    bootstrap_servers: Annotated[str, Field(description="host:port of brokers, comma-separated")] = "127.0.0.1:9092"
    security_protocol: Annotated[
        Literal["SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT"],
        Field(description="SASL_SSL; SASL_PLAINTEXT to brokers on this machine only"),
    ] = "SASL_SSL"
    sasl_mechanism: Annotated[str, Field(description="SCRAM-SHA-512")] = "SCRAM-SHA-512"
    username: Annotated[str, Field(description="principal of this process")] = ""
    password: Annotated[SecretStr, Field(description="its secret; a file is better")] = SecretStr("")
    password_file: Annotated[Path | None, Field(description="file that holds its secret")] = None
    admin_username: Annotated[str, Field(description="super user of the reconciler (`exchange serve` only)")] = "admin"
    admin_password_file: Annotated[Path | None, Field(description="file that holds the super user's secret")] = None
    ca_file: Annotated[Path | None, Field(description="certificate authority of the brokers")] = None
    replication: Annotated[int, Field(ge=1, description="replicas of every topic")] = 3
    partitions: Annotated[
        int | None,
        Field(ge=1, le=50, description="partitions of every record type; else 12 for population and legal-entity, 6"),
    ] = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        """Brokers have addresses; what is not encrypted leaves this machine on no account."""
        hosts = [_host(part.strip()) for part in self.bootstrap_servers.split(",")]
        if None in hosts:
            raise ValueError("bootstrap_servers: it has the form host:port, comma-separated")
        if self.security_protocol in _IN_CLEAR and not all(_is_loopback(host or "") for host in hosts):
            raise ValueError(
                f"security_protocol: {self.security_protocol} sends secrets and records in clear; to brokers that are "
                "not on this machine it is SASL_SSL, with their ca_file"
            )
        return self


class HttpSettings(Section):
    """Where the broker service listens."""

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on")] = 8400
    operator_token_file: Annotated[
        Path | None, Field(description="file with a token of role operator, for the first steps")
    ] = None
    token_days: Annotated[
        int, Field(ge=1, le=1096, description="after how many days a token ends that is issued without saying it")
    ] = 90
    advertised_url: Annotated[
        str, Field(description="where the other instances reach this one; else http://host:port")
    ] = ""
    requests_per_second: Annotated[
        int, Field(ge=1, description="requests a caller may send a second in the long run; more are answered 429")
    ] = 200
    request_burst: Annotated[int, Field(ge=1, description="requests a caller may send at once")] = 1000
    bad_tokens_per_minute: Annotated[
        int, Field(ge=1, description="bad tokens that are answered 401 for one address; more are answered 429")
    ] = 60

    oidc_issuer: Annotated[
        str, Field(description="OpenID Connect issuer whose tokens are taken beside our own; empty: none")
    ] = ""
    oidc_audience: Annotated[str, Field(description="what its tokens name as their audience: this exchange")] = ""
    oidc_jwks_url: Annotated[str, Field(description="where its public keys are (https)")] = ""
    oidc_jwks_file: Annotated[Path | None, Field(description="file with its public keys, instead of the address")] = (
        None
    )
    oidc_role_claim: Annotated[str, Field(description="claim that names one of our roles")] = "exchange_role"
    oidc_department_claim: Annotated[
        str, Field(description="claim that names the department's slug, for the role department")
    ] = "exchange_department"

    @property
    def url(self) -> str:
        """Where the other instances reach this one."""
        host = socket.gethostname() if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - a comparison
        return self.advertised_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


class ApiSettings(Section):
    """How commands and connectors reach the broker service."""

    url: Annotated[str, Field(description="address of the broker service")] = "http://127.0.0.1:8400"
    token: Annotated[SecretStr, Field(description="bearer token; a file is better")] = SecretStr("")
    token_file: Annotated[Path | None, Field(description="file that holds the bearer token")] = None


class MetricsSettings(Section):
    """Where a process shows its metrics and its health."""

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        int | None,
        Field(
            ge=0,
            le=65535,
            description="port to listen on; 0 takes a free one; left out: 9400, of the broker service 8401",
        ),
    ] = None

    @property
    def worker_port(self) -> int:
        """Of a worker or of connectors."""
        return _WORKERS_METRICS_PORT if self.port is None else self.port

    @property
    def broker_port(self) -> int:
        """Of the broker service: a worker on the same machine has another one, also when nobody sets any."""
        return _BROKERS_METRICS_PORT if self.port is None else self.port


class QuotaSettings(Section):
    """Default quotas of a department."""

    publish_bytes: Annotated[int, Field(gt=0, description="bytes a department may publish a second")] = 10_000_000
    consume_bytes: Annotated[int, Field(gt=0, description="bytes a department may read a second")] = 20_000_000


class LedgerSettings(Section):
    """The ledger: who signs snapshots of its state, and how much a department may write into it."""

    key_file: Annotated[
        Path | None,
        Field(description="Ed25519 key that signs snapshots of the ledger, for the broker service only"),
    ] = None
    public_key_file: Annotated[
        Path | None, Field(description="its public key: without one of both a process reads the whole ledger")
    ] = None
    events_per_day: Annotated[
        int, Field(ge=1, description="events that a department may write into the ledger a day (Asia/Shanghai)")
    ] = 10_000


class ConnectorSettings(Section):
    """What a connector of a department needs beside Kafka."""

    database: Annotated[SecretStr, Field(description="SQLAlchemy address of the department's database")] = SecretStr("")
    database_file: Annotated[Path | None, Field(description="file that holds that address")] = None
    path: Annotated[Path | None, Field(description="file that a file connector reads")] = None
    state_folder: Annotated[Path, Field(description="where a source keeps the memory of what it has sent")] = Path(
        "connector-state"
    )
    poll_seconds: Annotated[float, Field(gt=0, description="pause of a source that found nothing new")] = 1.0
    heartbeat_seconds: Annotated[float, Field(gt=0, description="sign of life of a quiet source")] = 60.0
    compare: Annotated[
        str,
        Field(description="when a source compares itself with its whole table: start, times of day (Asia/Shanghai)"),
    ] = "start,02:30"
    withdrawn_part: Annotated[
        float, Field(ge=0, le=1, description="part of a source's rows that a whole reading withdraws without asking")
    ] = 0.05
    withdrawn_rows: Annotated[
        int, Field(ge=0, description="rows that a whole reading withdraws without asking, whatever part they are")
    ] = 100
    drop_folder: Annotated[Path | None, Field(description="where sinks into folders put their deliveries")] = None
    signing_key_file: Annotated[Path | None, Field(description="Ed25519 key that signs deliveries in files")] = None
    delivery_seconds: Annotated[float, Field(ge=0, description="least time between two deliveries in files")] = 900.0


class Settings(BaseSettings):
    """All settings of every process."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    quota: QuotaSettings = QuotaSettings()
    ledger: LedgerSettings = LedgerSettings()
    connector: ConnectorSettings = ConnectorSettings()
    catalogue: Annotated[Path, Field(description="folder of departments and resources as code")] = (
        _shipped("schemas") / "catalogue"
    )
    schemas: Annotated[Path, Field(description="folder of the Avro schemas and their lock file")] = _shipped("schemas")
    maven_url: Annotated[str, Field(description="mirror for the jars of the embedded Kafka")] = ""
    worker_id: Annotated[str, Field(description="static member id of a line worker")] = socket.gethostname()
    master_secret_file: Annotated[
        Path | None, Field(description="secret for pseudonyms, read by the delivery line only")
    ] = None
    supplement_pauses: Annotated[
        bool, Field(description="whether the reply's clock stands still while a demander adds what was asked for")
    ] = False
    evidence_seconds: Annotated[float, Field(gt=0, description="pause between two looks at real delivery")] = 10.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda level: level.lower() if isinstance(level, str) else level),
        Field(description="debug, info, warning or error"),
    ] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; no .env files."""
        path = os.environ.get(CONFIG_VARIABLE)
        file = (TomlConfigSettingsSource(settings_cls, _readable(Path(path))),) if path else ()
        return (init_settings, env_settings, *file)


def load() -> Settings:
    """The settings of this process. Raises ExchangeError(E_SETTINGS) that names what is wrong, never a value."""
    _check_variables(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ExchangeError("E_SETTINGS", wrong) from None
    except tomllib.TOMLDecodeError as error:
        where = _LINE.search(str(error))
        raise ExchangeError(
            "E_SETTINGS", f"the file that {CONFIG_VARIABLE} names is no TOML{where[0] if where else ''}"
        ) from None
    except UnicodeDecodeError:
        raise ExchangeError("E_SETTINGS", f"the file that {CONFIG_VARIABLE} names is no UTF-8") from None
    except SettingsError:
        raise ExchangeError("E_SETTINGS", f"a variable {_PREFIX}… of a whole section is no JSON") from None


def _readable(file: Path) -> Path:
    """The file. Raises ExchangeError(E_SETTINGS) when it cannot be read: its absence is no setting."""
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        raise ExchangeError(
            "E_SETTINGS", f"the file that {CONFIG_VARIABLE} names cannot be read: {error.strerror}"
        ) from None


def _check_variables(environment: Iterable[str]) -> None:
    """Refuse a variable of ours that names no setting. Raises ExchangeError(E_SETTINGS).

    One without `__` may be another program's, unless it looks like a setting that was misspelt.
    """
    known = {*_variables(Settings, _PREFIX), CONFIG_VARIABLE}
    for variable in sorted(environment):
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in known:
            continue
        # Without the prefix: it is alike in all, and makes short names alike that have nothing in common.
        like = get_close_matches(name.removeprefix(_PREFIX), (one.removeprefix(_PREFIX) for one in known), 1, _ALIKE)
        if like or "__" in name:
            hint = f"; {_PREFIX}{like[0]} is meant?" if like else ""
            raise ExchangeError("E_SETTINGS", f"{variable[:_LONGEST_NAME]} is no setting{hint}")


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every variable that sets something, also a section as a whole."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        yield variable
        if isinstance(field.default, BaseModel):
            yield from _variables(type(field.default), f"{variable}__")


def secret(value: SecretStr, file: Path | None, what: str) -> str:
    """A secret from its file, or else from its setting. Raises ExchangeError(E_SETTINGS) when there is neither."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ExchangeError("E_SETTINGS", f"the file for {what} cannot be read: {error.strerror}") from None
    if not value.get_secret_value():
        raise ExchangeError("E_SETTINGS", f"{what} is not set")
    return value.get_secret_value()

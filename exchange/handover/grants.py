"""Which grant a sink serves: asked of the broker service with the department's own token."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog

from exchange import settings as settings_module
from exchange.backoff import Backoff
from exchange.errors import TABLE, Action, ExchangeError
from exchange.handover.health import SinkHealth
from exchange.names import Department, GrantId, RecordType, SchemaId, TopicName
from exchange.settings import ApiSettings

_TIMEOUT_SECONDS = 15.0
_BACKOFF = Backoff(first=1.0, longest=30.0)
_LOOK_SECONDS = 60.0
_MOST_PAGES = 1_000
_KINDS = {"http": HTTPConnection, "https": HTTPSConnection}
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class ActiveGrant:
    """A grant that may be read now."""

    grant: GrantId
    provider: Department
    topic: TopicName
    group: str
    schema_id: SchemaId
    pseudonymous: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose grant is looked for, and of what."""

    department: Department
    record_type: RecordType
    provider: str | None = None
    """None: of whatever department; there is to be one only."""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the broker service is."""

    kind: type[HTTPConnection]
    host: str
    port: int | None
    path: str
    """What stands before every path, without a slash at its end."""


class GrantFinder:
    """The broker service as a grantee needs it: a few questions a minute, each on a connection of its own.

    Asked by the standard library, which a sink has in memory anyway: an HTTP client with certificates of its own would
    take 5 MB of a department's small machine.
    """

    def __init__(self, settings: ApiSettings) -> None:
        """Raises ExchangeError(E_SETTINGS) when there is no token, or the address is none."""
        self._address = _address(settings.url)
        self._settings = settings
        self._token = self._read_token()

    def active(self, demander: Department, record_type: RecordType, provider: str | None) -> ActiveGrant | None:
        """The one active grant, or None. Raises ExchangeError(E_CONNECTOR) when several fit and none is chosen."""
        params = {"demander": demander, "record_type": record_type, "active": "true"}
        if provider is not None:
            params["provider"] = provider
        found = [item for item in self._items("/v1/grants", params) if provider in (None, item.get("provider"))]
        if len(found) > 1:
            raise ExchangeError("E_CONNECTOR", f"{len(found)} grants of {record_type}: name the provider in the sink")
        return _grant(found[0]) if found else None

    def is_active(self, grant: ActiveGrant) -> bool:
        """Whether the grant may still be read."""
        return bool(self._get(f"/v1/grants/{grant.grant}", {})["active"])

    def topic_of(self, grant: ActiveGrant) -> str | None:
        """The topic that the grant is to be read from now; it changes when the grant is amended."""
        topic: str | None = self._get(f"/v1/grants/{grant.grant}", {})["topic"]
        return topic

    def wait(self, holder: Holder, health: SinkHealth, stop: threading.Event) -> ActiveGrant | None:
        """The active grant as soon as there is one; None when `stop` is set before."""
        attempts = 1
        told = False
        while not stop.is_set():
            try:
                found = self.active(holder.department, holder.record_type, holder.provider)
                if found is not None:
                    return found
                attempts = 1
                health.well("waits for a grant")
            except ExchangeError as error:
                if not passes(error):
                    raise
                attempts += 1
                health.away(error)
            if not told:
                _log.info("handover.waiting_for_grant", stage="handover.receive", record_type=holder.record_type)
                told = True
            stop.wait(_BACKOFF.pause(attempts))
        return None

    def schema(self, schema_id: SchemaId) -> dict[str, Any]:
        """The schema with this id."""
        schema: dict[str, Any] = json.loads(self._get(f"/schemas/ids/{schema_id}", {})["schema"])
        return schema

    def _items(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page. Raises ExchangeError(E_API_UNREACHABLE) for a list without end."""
        cursor: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = self._get(path, {**params, **cursor})
            items, following = page.get("items"), page.get("next")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ExchangeError("E_API_UNREACHABLE", f"{path} is no list")
            yield from items
            if following is None:
                return
            cursor = {"cursor": str(following)}
        raise ExchangeError("E_API_UNREACHABLE", f"more than {_MOST_PAGES} pages of {path}")

    def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        target = self._address.path + path + (f"?{urlencode(params)}" if params else "")
        status, document = self._ask(target)
        if status == HTTPStatus.UNAUTHORIZED and self._has_new_token():
            status, document = self._ask(target)
        if status == HTTPStatus.OK and isinstance(document, dict):
            return document
        raise _problem(status, document)

    def _ask(self, target: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        try:
            with closing(self._connection()) as connection:
                connection.request("GET", target, headers=headers)
                answer = connection.getresponse()
                return answer.status, _document(answer.read())
        except (OSError, HTTPException) as error:
            raise ExchangeError("E_API_UNREACHABLE", f"{type(error).__name__}") from None

    def _read_token(self) -> str:
        settings = self._settings
        return settings_module.secret(settings.token, settings.token_file, "the API token (EXCHANGE_API__TOKEN_FILE)")

    def _has_new_token(self) -> bool:
        """Whether the token's file holds another one than before: tokens end, and a sink works for longer than one."""
        before = self._token
        try:
            self._token = self._read_token()
        except ExchangeError:
            return False  # the file is being replaced: the next question looks again
        return self._token != before

    def _connection(self) -> HTTPConnection:
        return self._address.kind(self._address.host, self._address.port, timeout=_TIMEOUT_SECONDS)


class Watch:
    """Looks now and then whether a grant has gone on in another share."""

    def __init__(self, grant: ActiveGrant, finder: GrantFinder) -> None:
        self._grant = grant
        self._finder = finder
        self._looked = time.monotonic()
        self.moved = False
        """What was seen last."""

    def __call__(self) -> bool:
        """Whether it has; asked of the broker service once a minute."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self.moved = self._finder.topic_of(self._grant) != self._grant.topic
            except ExchangeError as error:
                _log.info("handover.grant_unknown", stage="handover.receive", code=error.code)
        return self.moved


def passes(error: ExchangeError) -> bool:
    """Whether the broker service may do better later."""
    return error.entry.action is Action.RETRY or error.code == "E_RATE_LIMIT"


def _address(url: str) -> _Address:
    try:
        found = urlsplit(url)
        kind = _KINDS.get(found.scheme)
        if kind is not None and found.hostname and found.port != 0:
            return _Address(kind, found.hostname, found.port, found.path.rstrip("/"))
    except ValueError:
        pass
    raise ExchangeError("E_SETTINGS", "api.url is no address of the form http(s)://host:port")


def _grant(item: Mapping[str, Any]) -> ActiveGrant:
    try:
        return ActiveGrant(
            GrantId(item["grant"]),
            Department(item["provider"]),
            TopicName(item["topic"]),
            item["group"],
            SchemaId(item["schema_id"]),
            bool(item.get("pseudonymous", False)),
        )
    except KeyError as error:
        raise ExchangeError("E_API_UNREACHABLE", f"a grant without {error.args[0]}") from None


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _problem(status: int, document: Any) -> ExchangeError:
    if isinstance(document, dict) and document.get("code") in TABLE:
        return ExchangeError(document["code"], str(document.get("detail", "")))
    return ExchangeError("E_API_UNREACHABLE", f"HTTP {status}")

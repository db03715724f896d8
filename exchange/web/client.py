"""How commands reach the broker service: one small client over its HTTP API."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from exchange import settings as settings_module
from exchange.errors import TABLE, ExchangeError
from exchange.settings import ApiSettings

TIMEOUT_SECONDS = 30.0
"""A consent waits for its event to be read back from Kafka; more than this means that nobody answers."""
LONG_SECONDS = 300.0
"""For answers that need the whole ledger read again."""


class ApiClient:
    """The broker service at `settings.url`, with the caller's token. A context manager.

    Every method raises ExchangeError: with the code of the problem document, or E_API_UNREACHABLE.
    """

    def __init__(self, settings: ApiSettings, transport: httpx.BaseTransport | None = None) -> None:
        token = settings_module.secret(settings.token, settings.token_file, "the API token (EXCHANGE_API__TOKEN_FILE)")
        self._http = httpx.Client(
            base_url=settings.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """The JSON under `path`; parameters that are None are left out."""
        return self._send("GET", path, params={name: value for name, value in params.items() if value is not None})

    def text(self, path: str, **params: Any) -> str:
        """The text under `path`, which may take long to make."""
        return self._answer("GET", path, params=params, timeout=LONG_SECONDS).text

    def items(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        for page in self.pages(path, **params):
            yield from page["items"]

    def pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every page of a list, with what it says beside its items."""
        cursor: str | None = None
        while True:
            page = self.get(path, **params, cursor=cursor)
            yield page
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        """Send a command. `key` makes a repetition harmless; a new one is made when there is none."""
        key = str(uuid.uuid4()) if key is None else key  # one that is empty is refused, not replaced
        return self._send("POST", path, json=body or {}, headers={"Idempotency-Key": key})

    def _send(self, method: str, path: str, **rest: Any) -> Any:
        return self._answer(method, path, **rest).json()

    def _answer(self, method: str, path: str, **rest: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **rest)
        except httpx.TransportError as error:
            raise ExchangeError(
                "E_API_UNREACHABLE", f"the broker service does not answer ({type(error).__name__})"
            ) from None
        if answer.is_success:
            return answer
        raise _problem(answer)


def connect() -> ApiClient:
    """The client that the settings describe."""
    return ApiClient(settings_module.load().api)


def _problem(answer: httpx.Response) -> ExchangeError:
    try:
        document = answer.json()
        code, detail = document["code"], document["detail"]
    except (ValueError, KeyError, TypeError):
        return ExchangeError(
            "E_API_UNREACHABLE", f"the answer is not one of the broker service (HTTP {answer.status_code})"
        )
    return ExchangeError(code, detail) if code in TABLE else ExchangeError("E_INTERNAL", f"{code}: {detail}")

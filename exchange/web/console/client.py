"""The API as the pages use it: in this process, with the token of who signed in. So the API's rules are the console's.

A page shows what the API answers, and a form sends the command that the API takes: also at a follower, from where the
API sends commands on to the leader.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from starlette.types import ASGIApp

from exchange.errors import ExchangeError
from exchange.web.problems import retry_seconds, status_of

_BASE: Final = "http://exchange"
_ANSWER_SECONDS: Final = 30.0
_PORT: Final = 0
_DEMAND: Final = re.compile(r"\bd-[0-9]+\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not done, as the API says it."""

    status: int
    code: str
    meaning: str
    detail: str
    advice: str
    retry_seconds: str | None = None
    """When to try again; None when nobody can tell."""

    @property
    def demands(self) -> list[str]:
        """The demands that it names."""
        return _DEMAND.findall(self.detail)

    @classmethod
    def of(cls, error: ExchangeError) -> "Problem":
        """What an error of ours says."""
        entry = error.entry
        told = (error.code, entry.meaning, error.detail, entry.advice)
        return cls(status_of(error), *told, retry_seconds=retry_seconds(error))

    @classmethod
    def told(cls, answer: httpx.Response) -> "Problem":
        """What a problem document of the API says."""
        said = answer.json()
        seconds = answer.headers.get("retry-after")
        return cls(answer.status_code, said["code"], said["title"], said["detail"], said["advice"], seconds)


class RefusedError(Exception):
    """The API did not do what it was asked."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class Api:
    """The API, for one caller. A context manager."""

    def __init__(self, app: ASGIApp, token: str, address: str) -> None:
        """app: the whole application. address: where the caller's browser is; limits count by it."""
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, _PORT))
        self._http = httpx.AsyncClient(
            transport=transport,
            base_url=_BASE,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        """What stands under `path`. Raises RefusedError."""
        return _answered(await self._http.get(path, params=params)).json()

    async def text(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        """What stands under `path`, in whatever form. Raises RefusedError."""
        return _answered(await self._http.get(path, params=params))

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """Send a command under an idempotency key. Raises RefusedError."""
        return _answered(await self._http.post(path, json=body, headers={"Idempotency-Key": key})).json()


def path_of(*parts: str) -> str:
    """A path of the API; ids may hold anything."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _answered(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    raise RefusedError(Problem.told(answer))

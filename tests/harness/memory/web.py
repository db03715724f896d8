"""The HTTP API over a service in memory, with callers of every role: what its tests stand on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
PATIENCE_SECONDS = 60.0
"""How long a client waits on a machine that is busy with other things."""
ROLES = ("operator", "supervisor", "auditor")


@dataclass
class WebHarness:
    """A running API. `as_("taxation")`, `as_("auditor")` give the headers of a caller; tokens are issued as needed."""

    service: MemoryService
    app: Any
    url: str
    http: httpx.Client
    tokens: dict[str, str] = field(default_factory=lambda: {"operator": OPERATOR_TOKEN})

    def as_(self, who: str) -> dict[str, str]:
        """The Authorization header of a role, or of a department. Raises httpx.HTTPStatusError."""
        if who not in self.tokens:
            role = who if who in ROLES else "department"
            body = {"role": role, "department": who if role == "department" else None}
            answer = self.http.post("/v1/tokens", json=body, headers=self.as_("operator")).raise_for_status()
            self.tokens[who] = answer.json()["token"]
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def post(self, who: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """Send a command as `who`."""
        headers = self.as_(who) | ({} if key is None else {"Idempotency-Key": key})
        return self.http.post(path, json=body if body is not None else {}, headers=headers)

    def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        """Ask as `who`."""
        return self.http.get(path, params=params, headers=self.as_(who))


@contextmanager
def web_harness(folder: Path, service: MemoryService | None = None, **settings: Any) -> Iterator[WebHarness]:
    """Serve the API over `service` (else a new one, with the shipped catalogue in its ledger) while the block runs.

    folder: gets the file with the operator's first token. settings: of HttpSettings.
    """
    file = folder / "operator.token"
    file.write_text(OPERATOR_TOKEN + "\n")
    if service is None:
        service = MemoryService()
        service.apply_catalogue("operator", None)
    app = create_app(service, HttpSettings(operator_token_file=file, **settings))
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as http:
        yield WebHarness(service, app, url, http)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that an answer is a problem document with this status and code; gives the document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["code"], document["status"]) == (code, status)
    assert set(document) == {"type", "title", "status", "detail", "code", "advice"}
    return document

"""Departments, demands and replies of the demo, over the broker service's HTTP API as anybody would."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from exchange.cli.client import ApiClient
from exchange.cli.demo.places import Places
from exchange.cli.demo.platform import Platform
from exchange.cli.demo.story import ACTS, DEPARTMENTS, Act
from exchange.clock import Deadline
from exchange.errors import Action, ExchangeError
from exchange.settings import ApiSettings

_READY_SECONDS = 60.0
_SERVING_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_OPEN = ("serving", "breached", "activating", "consented", "in-review", "submitted")


def wait_until(holds: Callable[[], bool], what: str, platform: Platform, seconds: float) -> None:
    """Return when `holds()`. Raises ExchangeError(E_EMBEDDED) when a child was given up or time runs out."""
    deadline = Deadline.after(seconds)
    while not holds():
        platform.children.check()
        if deadline.passed:
            raise ExchangeError(
                "E_EMBEDDED", f"{what} did not happen in {seconds:.0f} s; logs: {platform.children.folder}"
            )
        time.sleep(_PAUSE_SECONDS)


def wait_ready(platform: Platform) -> None:
    """Return when the broker service leads and has read its ledger."""

    def ready() -> bool:
        try:
            return httpx.get(f"{platform.http}/readyz", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    wait_until(ready, "the start of the broker service", platform, _READY_SECONDS)


@contextmanager
def client(platform: Platform, token_file: Path) -> Iterator[ApiClient]:
    """The API with a token."""
    with ApiClient(ApiSettings(url=platform.http, token=SecretStr(""), token_file=token_file)) as opened:
        yield opened


def register_departments(operator: ApiClient, places: Places) -> None:
    """Bring the catalogue into the ledger; give every department of the story its Kafka secret and its API token."""
    operator.post("/v1/catalogue")
    for department in DEPARTMENTS:
        if not places.has_secret(f"{department}.secret"):
            places.keep_secret(
                f"{department}.secret", operator.post("/v1/departments", {"department": department})["secret"]
            )
        if not places.has_secret(f"{department}.token"):
            issued = operator.post("/v1/tokens", {"role": "department", "department": department})
            places.keep_secret(f"{department}.token", issued["token"])


def play(platform: Platform, acts: Iterable[Act] = ACTS) -> None:
    """Every demand of the story with its reply, as the departments concerned; what is there already stays."""
    for act in acts:
        _play(platform, act)


def _play(platform: Platform, act: Act) -> None:
    with client(platform, platform.places.secret_file(f"{act.demander}.token")) as demander:
        demand = _find(demander, act)
        if demand is not None:
            return
        demand = demander.post("/v1/demands", act.demand)["demand"]
    with client(platform, platform.places.secret_file(f"{act.provider}.token")) as provider:
        if act.consent is not None:
            provider.post(f"/v1/demands/{demand}/consent", act.consent)
        else:
            provider.post(f"/v1/demands/{demand}/refuse", act.refusal)


def _find(demander: ApiClient, act: Act) -> dict[str, Any] | None:
    for demand in demander.items("/v1/demands", demander=act.demander):
        same = demand["record_type"] == act.demand["record_type"] and set(demand["fields"]) == set(act.demand["fields"])
        if same and demand["state"] in (*_OPEN, "refused"):
            return demand
    return None


def wait_serving(platform: Platform, operator: ApiClient) -> None:
    """Return when every demand that was consented is being served."""

    def serving() -> bool:
        states = [demand["state"] for demand in operator.items("/v1/demands")]
        return states.count("serving") >= sum(act.served for act in ACTS)

    wait_until(serving, "the service of the consented demands", platform, _SERVING_SECONDS)


def wait_books(platform: Platform, operator: ApiClient) -> None:
    """Return when the broker service has looked at the books of the lines."""

    def looked() -> bool:
        try:
            operator.get("/v1/books")
        except ExchangeError as error:
            if error.entry.action is not Action.RETRY:
                raise
            return False
        return True

    wait_until(looked, "the first look at the books", platform, _SERVING_SECONDS)

"""Departments, demands and replies of the demo, over the broker service's HTTP API as anybody would."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from exchange.clock import Deadline
from exchange.demo.places import Places
from exchange.demo.platform import Platform
from exchange.demo.story import Act
from exchange.errors import Action, ExchangeError
from exchange.settings import ApiSettings
from exchange.web.client import ApiClient

_READY_SECONDS = 60.0
_SERVING_SECONDS = 90.0
_PAUSE_SECONDS = 0.2
_OPEN = ("serving", "breached", "activating", "consented", "in-review", "submitted", "unmatched")
_SUPERVISOR = "supervisor"


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


def register_departments(operator: ApiClient, places: Places, departments: Iterable[str]) -> None:
    """Bring the catalogue into the ledger; give every department of the story its Kafka secret and its API token."""
    operator.post("/v1/catalogue")
    for department in departments:
        if not places.has_secret(f"{department}.secret"):
            places.keep_secret(
                f"{department}.secret", operator.post("/v1/departments", {"department": department})["secret"]
            )
        if not places.has_secret(f"{department}.token"):
            issued = operator.post("/v1/tokens", {"role": "department", "department": department})
            places.keep_secret(f"{department}.token", issued["token"])
    if not places.has_secret(f"{_SUPERVISOR}.token"):
        places.keep_secret(f"{_SUPERVISOR}.token", operator.post("/v1/tokens", {"role": _SUPERVISOR})["token"])


def play(platform: Platform, acts: Iterable[Act]) -> None:
    """Every demand of the story with its reply, as the departments concerned; what is there already stays."""
    with ExitStack() as stack:
        opened: dict[str, ApiClient] = {}

        def speak_as(caller: str) -> ApiClient:
            if caller not in opened:
                token_file = platform.places.secret_file(f"{caller}.token")
                opened[caller] = stack.enter_context(client(platform, token_file))
            return opened[caller]

        for act in acts:
            _play(act, speak_as)


def _play(act: Act, speak_as: Callable[[str], ApiClient]) -> None:
    demander = speak_as(act.demander)
    if _is_there(act, demander):
        return
    demand = demander.post("/v1/demands", act.demand)["demand"]
    if act.reviewed:
        speak_as(_SUPERVISOR).post(f"/v1/demands/{demand}/review", {"passed": True})
    if act.consent is not None:
        speak_as(act.provider).post(f"/v1/demands/{demand}/consent", act.consent)
    elif act.refusal is not None:
        speak_as(act.provider).post(f"/v1/demands/{demand}/refuse", act.refusal)


def _is_there(act: Act, demander: ApiClient) -> bool:
    same = (act.demand["record_type"], act.provider, set(act.demand["fields"]))
    return any(
        (demand["record_type"], demand["provider"], set(demand["fields"])) == same
        for demand in demander.items("/v1/demands", demander=act.demander)
        if demand["state"] in (*_OPEN, "refused")
    )


def wait_serving(platform: Platform, operator: ApiClient, acts: Iterable[Act]) -> None:
    """Return when every demand of these that was consented is being served."""
    served = sum(act.served for act in acts)

    def serving() -> bool:
        states = [demand["state"] for demand in operator.items("/v1/demands")]
        return states.count("serving") >= served

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

import base64
import hmac
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from exchange.web.oidc.keys import FetchedKeys, FileKeys
from tests.harness.memory.ledger import START
from tests.harness.memory.service import MemoryService, serving
from tests.harness.memory.web import WebHarness, refused, web_harness

ISSUER, AUDIENCE = "https://sign-in.example", "exchange-bus"
TAX, MARKET = "taxation", "market-regulation"
NOW = int(START.timestamp())
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
ANYTHING = JWSRegistry(algorithms=["RS256", "ES256", "Ed25519", "HS256", "none"])


def public(*keys: Any) -> bytes:
    return json.dumps(KeySet(list(keys)).as_dict(private=False)).encode()


def claims(**changed: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "iat": NOW, "nbf": NOW, "exp": NOW + 600,
             "exchange_role": "auditor"}  # fmt: skip
    return {name: value for name, value in (usual | changed).items() if value is not None}


def token(key: Any = None, algorithm: str = "RS256", kid: str | None = None, **changed: Any) -> str:
    key = key or KEYS[algorithm]
    header = {"alg": algorithm, "kid": kid or key.kid}
    return jwt.encode(header, claims(**changed), key, registry=ANYTHING)


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


class Issuer:
    """Serves its public keys; counts how often they were asked for."""

    def __init__(self, *keys: Any) -> None:
        self.document = public(*keys)
        self.status = 200
        self.asked = 0
        self.app = FastAPI()

        @self.app.get("/keys")
        def keys_of() -> Response:
            self.asked += 1
            return Response(self.document, self.status)


@pytest.fixture
def issuer() -> Iterator[tuple[Issuer, str]]:
    issuer = Issuer(*KEYS.values())
    with serving(issuer.app) as url:
        yield issuer, f"{url}/keys"


@pytest.fixture
def harness(issuer: tuple[Issuer, str], tmp_path: Path) -> Iterator[WebHarness]:
    trusted: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": issuer[1]}
    with web_harness(tmp_path, **trusted) as harness:
        yield harness


def asked(harness: WebHarness, text: str, path: str = "/v1/ledger/head") -> httpx.Response:
    return harness.http.get(path, headers=bearer(text))


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_tokens_signed_by_the_issuer_are_taken(harness: WebHarness, algorithm: str) -> None:
    assert asked(harness, token(algorithm=algorithm)).is_success
    assert asked(harness, token(algorithm=algorithm, aud=["another", AUDIENCE])).is_success


def test_the_role_and_the_department_are_those_of_the_claims(harness: WebHarness) -> None:
    of_tax = {"exchange_role": "department", "exchange_department": TAX}
    assert asked(harness, token(**of_tax), "/v1/demands").is_success
    refused(asked(harness, token(**of_tax), "/v1/tokens"), 403, "E_ROLE")
    assert asked(harness, token(exchange_role="operator"), "/v1/tokens").is_success
    body = {"resource": "102001/0001", "fields": ["name"], "legal_basis": "a", "scenario": "b", "use_scope": "c",
            "mode": "batch-exchange"}  # fmt: skip
    made = harness.http.post("/v1/demands", json=body, headers=bearer(token(**of_tax)))
    assert made.status_code == 201
    assert harness.service.ledger.events[-1].actor == TAX
    basic = base64.b64encode(f"{TAX}:{token(**of_tax)}".encode()).decode()
    assert harness.http.get("/subjects", headers={"Authorization": f"Basic {basic}"}).is_success
    other = base64.b64encode(f"{MARKET}:{token(**of_tax)}".encode()).decode()
    assert harness.http.get("/subjects", headers={"Authorization": f"Basic {other}"}).status_code == 401


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"iss": "https://another.example"},
    {"iss": None},
    {"aud": "another"},
    {"aud": ["another"]},
    {"aud": None},
    {"exp": NOW - 31},
    {"exp": None},
    {"exp": "tomorrow"},
    {"nbf": NOW + 31},
    {"iat": NOW + 3600},
    {"sub": None},
    {"sub": 7},
    {"exchange_role": None},
    {"exchange_role": "king"},
    {"exchange_role": ["operator"]},
    {"exchange_role": "department"},
    {"exchange_role": "department", "exchange_department": "nobody"},
    {"exchange_role": "department", "exchange_department": [TAX]},
]


def test_claims_that_are_not_for_us_or_not_now_are_refused(harness: WebHarness) -> None:
    for changed in WRONG_CLAIMS:
        refused(asked(harness, token(**changed)), 401, "E_TOKEN")


def test_the_time_is_the_service_s(harness: WebHarness) -> None:
    text = token(exp=NOW + 100)
    harness.service.ledger.clock.forward(seconds=129)
    assert asked(harness, text).is_success, "clocks of two machines differ: half a minute is given"
    harness.service.ledger.clock.forward(seconds=1)
    refused(asked(harness, text), 401, "E_TOKEN")


def test_signatures_of_others_and_none_are_refused(harness: WebHarness) -> None:
    parts = token().split(".")
    unsigned, body = encoded({"alg": "none", "kid": "rsa"}), encoded(claims(exchange_role="operator"))
    by_public_key = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{parts[1]}"
    mac = hmac.new(KEYS["RS256"].as_pem(private=False), by_public_key.encode(), "sha256").digest()
    for wrong in (
        token(STRANGER),
        f"{unsigned}.{parts[1]}.",
        f"{unsigned}.{parts[1]}.{parts[2]}",
        f"{parts[0]}.{body}.{parts[2]}",
        f"{parts[0]}.{parts[1]}.",
        f"{by_public_key}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        token(algorithm="ES256", kid="rsa"),
        "a.b.c",
        "..",
        "é.é.é",
    ):
        answer = harness.http.get("/v1/ledger/head", headers={b"Authorization": f"Bearer {wrong}".encode()})
        refused(answer, 401, "E_TOKEN")


def test_new_keys_of_the_issuer_are_looked_for_and_not_by_every_bad_token(
    issuer: tuple[Issuer, str], harness: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(harness, token()).is_success
    assert asked(harness, token()).is_success
    assert issuer[0].asked == 1
    for _ in range(5):
        assert asked(harness, token(STRANGER, kid="unknown")).status_code == 401
    assert issuer[0].asked == 1, "within the pause nobody is asked again"


def test_keys_are_fetched_again_for_a_new_one_and_when_they_have_aged(issuer: tuple[Issuer, str]) -> None:
    now = [1000.0]
    keys = FetchedKeys(httpx.URL(issuer[1]), monotonic=lambda: now[0])
    assert {key.kid for key in keys.current().keys} == {"rsa", "ec", "ed"}
    new = RSAKey.generate_key(2048, {"kid": "new"})
    issuer[0].document = public(new)
    now[0] += 11
    assert "new" not in {key.kid for key in keys.current().keys}
    assert {key.kid for key in keys.current(unknown=True).keys} == {"new"}
    issuer[0].document = public(*KEYS.values())
    now[0] += 301
    deadline = Deadline.after(30.0)
    while "new" in {key.kid for key in keys.current().keys}:  # fetched beside the requests
        assert not deadline.passed, "a key that is withdrawn ends"


def test_an_issuer_that_does_not_answer_takes_its_time_only_now_and_then(issuer: tuple[Issuer, str]) -> None:
    now = [1000.0]
    issuer[0].status = 500
    keys = FetchedKeys(httpx.URL(issuer[1]), monotonic=lambda: now[0])
    for _ in range(3):
        with pytest.raises(ExchangeError, match="E_ISSUER"):
            keys.current()
    assert issuer[0].asked == 1
    issuer[0].status = 200
    now[0] += 10
    keys.current()
    issuer[0].status = 500
    now[0] += 86_400
    assert keys.current(), "the last keys are good while it is away"
    now[0] += 11
    with pytest.raises(ExchangeError, match="E_ISSUER"):
        keys.current()


def test_an_issuer_that_hangs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        keys = FetchedKeys(httpx.URL(f"http://127.0.0.1:{silent.getsockname()[1]}/keys"))
        told: list[str] = []

        def ask() -> None:
            with pytest.raises(ExchangeError) as caught:
                keys.current()
            told.append(caught.value.detail)

        threads = [threading.Thread(target=ask) for _ in range(45)]
        for thread in threads:
            thread.start()
        connection, _ = silent.accept()
        deadline = Deadline.after(30.0)
        while len(told) < 41:
            assert not deadline.passed
            threading.Event().wait(0.01)
        assert told == ["its keys are being fetched"] * 41, "a few wait, the others were answered while it hangs"
        connection.close()
        for thread in threads:
            thread.join()
        assert len(told) == 45


def test_aged_keys_are_good_while_newer_ones_are_fetched(issuer: tuple[Issuer, str]) -> None:
    now = [1000.0]
    keys = FetchedKeys(httpx.URL(issuer[1]), monotonic=lambda: now[0])
    known = keys.current()
    hangs, goes_on = threading.Event(), threading.Event()

    def document() -> bytes:
        hangs.set()
        goes_on.wait(30.0)
        return public(*KEYS.values())

    keys._document = document  # type: ignore[method-assign]
    now[0] += 301
    assert [keys.current() for _ in range(10)] == [known] * 10
    assert hangs.wait(30.0)
    goes_on.set()


def test_keys_that_come_without_end_are_left(tmp_path: Path) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(100):
                await send({"type": "http.response.body", "body": b" " * 100_000, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    with serving(endless) as url, pytest.raises(ExchangeError, match="E_ISSUER"):
        FetchedKeys(httpx.URL(url)).current()


def test_without_keys_signed_tokens_wait_and_our_own_go_on(issuer: tuple[Issuer, str], harness: WebHarness) -> None:
    issuer[0].document = b"<html>"
    answer = asked(harness, token())
    refused(answer, 503, "E_ISSUER")
    assert answer.headers["retry-after"]
    assert harness.get("operator", "/v1/tokens").is_success


def test_keys_in_a_file_are_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(public(KEYS["RS256"]))
    with web_harness(tmp_path, oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks_file=file) as harness:
        assert asked(harness, token()).is_success
        assert asked(harness, token(algorithm="ES256")).status_code == 401
        file.write_bytes(public(KEYS["ES256"]))
        os.utime(file, ns=(1, 1))
        assert asked(harness, token(algorithm="ES256")).is_success
        assert asked(harness, token()).status_code == 401
    with pytest.raises(ExchangeError, match="E_ISSUER"):
        FileKeys(tmp_path / "missing.json")


def test_without_an_issuer_no_signed_token_is_good(tmp_path: Path) -> None:
    with web_harness(tmp_path) as harness:
        refused(asked(harness, token()), 401, "E_TOKEN")


@pytest.mark.parametrize(
    "settings",
    [
        {"oidc_jwks_url": "https://sign-in.example/keys"},
        {"oidc_audience": AUDIENCE},
        {"oidc_audience": AUDIENCE, "oidc_jwks_url": "http://sign-in.example/keys"},
        {"oidc_audience": AUDIENCE, "oidc_jwks_url": "file:///etc/keys"},
    ],
)
def test_an_issuer_that_cannot_be_trusted_stops_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError, match="E_SETTINGS"):
        create_app(MemoryService(), HttpSettings(oidc_issuer=ISSUER, **settings))


def test_an_issuer_s_caller_is_counted_by_its_subject(issuer: tuple[Issuer, str], tmp_path: Path) -> None:
    trusted: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": issuer[1]}
    with web_harness(tmp_path, request_burst=2, requests_per_second=1, **trusted) as harness:
        statuses = [asked(harness, token(nbf=NOW - number)).status_code for number in range(3)]
        assert statuses == [200, 200, 429], "a new token of the same subject is the same caller"
        assert asked(harness, token(sub="u-2")).status_code == 200

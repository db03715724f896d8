"""What real clients send on a connection, byte for byte."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.harness.memory.web import WebHarness, web_harness

TAX = "taxation"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("connection")) as harness:
        yield harness


def exchanged(harness: WebHarness, *parts: bytes) -> tuple[bytes, bytes]:
    """Send bytes on a connection of their own until it is closed; gives head and body of all answers."""
    url = httpx.URL(harness.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while more := connection.recv(65_536):
            found += more
    head, _, body = found.partition(b"\r\n\r\n")
    return head, body


def request(harness: WebHarness, body: bytes, *more: bytes) -> bytes:
    token = harness.as_(TAX)["Authorization"].encode()
    lines = (b"POST /subjects/population.death HTTP/1.1", b"Host: x", b"Authorization: " + token,
             b"Content-Type: application/json", b"Content-Length: %d" % len(body), *more)  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize("upgrade", [b"Upgrade: h2c", b"upgrade:h2c", b"UPGRADE:  h2c "])
def test_a_client_that_offers_http_2_is_answered_by_http_1(harness: WebHarness, upgrade: bytes) -> None:
    offer = (
        b"Connection: Upgrade, HTTP2-Settings, close",
        upgrade,
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    for order in (offer, offer[::-1]):
        head, body = exchanged(harness, request(harness, json.dumps({"schema": '"string"'}).encode(), *order))
        assert head.startswith(b"HTTP/1.1 404 ")
        assert json.loads(body)["error_code"] == 40403, "the body was read"


def test_two_requests_on_one_connection_after_an_offer(harness: WebHarness) -> None:
    body = json.dumps({"schema": '"string"'}).encode()
    first = request(harness, body, b"Connection: Upgrade", b"Upgrade: h2c")
    head, rest = exchanged(harness, first + request(harness, body, b"Connection: close"))
    assert (head + rest).count(b"HTTP/1.1 404 ") == 2


def test_a_body_that_speaks_of_h2c_stays_as_it_is(harness: WebHarness) -> None:
    schema = {"type": "enum", "name": "E", "symbols": ["h2c"], "doc": "Upgrade: h2c"}
    body = b"{\r\n" + json.dumps({"schema": json.dumps(schema)}).encode()[1:]
    head, answer = exchanged(harness, request(harness, body, b"Connection: close"))
    assert (head[9:12], json.loads(answer)["error_code"]) == (b"404", 40403)


def test_what_is_no_http_is_answered_by_a_problem_document(harness: WebHarness) -> None:
    head, body = exchanged(harness, b"nonsense\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert (json.loads(body)["code"], json.loads(body)["status"]) == ("E_REQUEST", 400)


def test_nothing_of_the_request_is_logged(harness: WebHarness, capsys: pytest.CaptureFixture[str]) -> None:
    exchanged(harness, b"GET /secret-of-somebody HTTP/9.9\r\n\r\n")
    captured = capsys.readouterr()
    assert "secret-of-somebody" not in captured.out + captured.err

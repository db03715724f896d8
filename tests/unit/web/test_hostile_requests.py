"""Requests that no honest client sends: each is refused or taken in one way only, and the next one is answered."""

import gzip
import json
import re
import socket
import struct
from collections.abc import Iterator

import httpx
import pytest

from tests.harness.hostile_client import hostile
from tests.harness.memory.web import WebHarness, web_harness

TAX = "taxation"
HELD = 64
"""Connections that a slow client holds all the time."""
SMUGGLED = b"GET /v1/ledger/head HTTP/1.1\r\nHost: x\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100") + b"\xa5\x01\x00\x00\xa1\x03\x03" + b"\x5a" * 160
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("requests")) as harness:
        port = httpx.URL(harness.url).port or 80
        with hostile(port, "slow-headers", HELD, renewed=True) as slow:
            yield harness
            assert slow.left() == HELD


def exchanged(harness: WebHarness, *parts: bytes) -> bytes:
    """Everything that comes back on a connection until the server closes it; it may close while we still send."""
    found = b""
    with socket.create_connection(("127.0.0.1", httpx.URL(harness.url).port or 80), timeout=60) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65_536):
                found += more
        except ConnectionError:
            pass
    return found


def statuses(answers: bytes) -> list[int]:
    """Of each answer on a connection."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answers)]


def head(harness: WebHarness, *lines: str, method: str = "POST") -> bytes:
    token = harness.as_(TAX)["Authorization"]
    first = (f"{method} /v1/demands HTTP/1.1", "Host: x", f"Authorization: {token}", "Content-Type: application/json")
    return "\r\n".join((*first, *lines, "", "")).encode()


TWICE = {
    "length and chunks": ("Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": ("Transfer-Encoding: chunked\r\nContent-Length: 4", b"5c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"),
    "two lengths": ("Content-Length: 2\r\nContent-Length: 50", b"{}" + SMUGGLED),
    "two lengths in one": ("Content-Length: 2, 50", b"{}" + SMUGGLED),
    "a length with a sign": ("Content-Length: +2", b"{}" + SMUGGLED),
    "a negative length": ("Content-Length: -1", b"{}" + SMUGGLED),
    "chunks in disguise": ("Transfer-Encoding: xchunked", b"0\r\n\r\n" + SMUGGLED),
    "chunks after something": ("Transfer-Encoding: gzip, chunked", b"0\r\n\r\n" + SMUGGLED),
    "a name with a space": ("Content-Length : 2", b"{}" + SMUGGLED),
    "a folded name": (" Content-Length: 2", b"{}" + SMUGGLED),
    "a chunk's length that is none": ("Transfer-Encoding: chunked", b"0x5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "a chunk's length without end": ("Transfer-Encoding: chunked", b"f" * 100_000),
    "a chunk's extension without end": ("Transfer-Encoding: chunked", b"5;" + b"x" * 100_000),
    "a name with a null": ("Content-\0Length: 2", b"{}" + SMUGGLED),
}


@pytest.mark.parametrize("what", TWICE)
def test_a_request_that_two_readers_could_cut_in_two_ways_is_refused_with_all_behind_it(
    harness: WebHarness, what: str
) -> None:
    lines, body = TWICE[what]
    answers = exchanged(harness, head(harness, lines) + body)
    assert statuses(answers), answers
    assert all(400 <= one < 502 for one in statuses(answers)), "what was behind it is not answered as a request"
    assert b"connection: close" in answers.lower()
    assert harness.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [b"GET /healthz\r\n\r\n", b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", HTTP_2, TLS_HELLO + b"\r\n\r\n", b"\x00" * 1000,
     b"GET /healthz HTTP/1.1\r\n\r\n", b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n", b"{}\r\n\r\n",
     b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n" * 40_000],
    ids=["http-0.9", "version-0.9", "http-2", "tls", "nulls", "no-host", "method", "json", "target", "empty-lines"],
)  # fmt: skip
def test_what_is_no_http_1_is_refused(harness: WebHarness, sent: bytes) -> None:
    answers = exchanged(harness, sent)
    assert statuses(answers) in ([400], [422], []), answers
    assert harness.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "lines",
    [[f"X-{number}: a" for number in range(10_000)], ["X: " + "a" * 1_048_576], [f"X-{n}: a" for n in range(101)],
     ["X: " + "a" * 31_000, "Y: " + "a" * 31_000]],
    ids=["ten-thousand", "one-of-1-MiB", "more-than-100", "all-together"],
)  # fmt: skip
def test_headers_are_bounded(harness: WebHarness, lines: list[str]) -> None:
    answers = exchanged(harness, head(harness, *lines, "Content-Length: 2") + b"{}")
    assert statuses(answers) in ([400], [413], []), answers[:300]
    assert harness.http.get("/healthz").status_code == 200


def test_a_length_that_says_too_little_or_too_much_hurts_its_own_connection_only(harness: WebHarness) -> None:
    less = exchanged(harness, head(harness, "Content-Length: 1", "Connection: close") + b"{}")
    assert statuses(less) == [422]
    with socket.create_connection(("127.0.0.1", httpx.URL(harness.url).port or 80), timeout=60) as connection:
        connection.sendall(head(harness, "Content-Length: 200000") + b"{}")
        assert harness.get(TAX, "/v1/demands").status_code == 200
    refused = exchanged(harness, head(harness, "Content-Length: 99999999999999999999999") + b"{}")
    assert statuses(refused) in ([413], [400])


def test_requests_one_behind_the_other_are_answered_in_their_order(harness: WebHarness) -> None:
    get = head(harness, method="GET").replace(b"Content-Type: application/json\r\n", b"")
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = exchanged(harness, get * 20 + last)
    assert statuses(answers) == [200] * 21
    assert answers.endswith(b'{"status":"ok"}')


def test_a_target_with_scheme_and_host_is_that_path(harness: WebHarness) -> None:
    for target in (b"http://x/healthz", b"HTTPS://elsewhere:1/healthz"):
        answers = exchanged(harness, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert statuses(answers) == [200]
    for target in (b"http://x", b"*", b"x:443", b"//healthz", b"/healthz/../healthz", b"/%2e%2e/healthz"):
        answers = exchanged(harness, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert statuses(answers) == [404], target


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_a_compressed_body_is_not_unpacked(harness: WebHarness, encoding: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    headers = harness.as_(TAX) | {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = harness.http.post("/v1/demands", content=bomb, headers=headers)
    assert answer.status_code in (413, 422)
    assert harness.http.get("/healthz").status_code == 200


BODIES = {
    "deep lists": b"[" * 100_000,
    "deep lists that end": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "deep in a member": b'{"resource":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a long number": b'{"freshness_seconds": ' + b"9" * 100_000 + b"}",
    "a number without end": b'{"freshness_seconds": 1e999}',
    "no number": b'{"freshness_seconds": NaN}',
    "infinity": b'{"freshness_seconds": -Infinity}',
    "a member twice": b'{"resource": "102001/0001", "resource": "101001/0001", "fields": ["name"]}',
    "a member twice inside": b'{"masks": {"name": "first", "name": "ends"}, "resource": "102001/0001"}',
    "no utf-8": b'{"resource": "\xff"}',
    "half a pair": b'{"resource": "\\ud800"}',
    "utf-16": '{"resource": "102001/0001"}'.encode("utf-16"),
    "a list": b"[]",
    "nothing": b"",
    "a null": b"null",
    "a null character": b'{"resource": "\\u0000"}',
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_no_plain_json_is_refused_and_nothing_is_done(harness: WebHarness, what: str) -> None:
    headers = harness.as_(TAX) | {"Content-Type": "application/json"}
    before = harness.service.ledger.state.seq
    answer = harness.http.post("/v1/demands", content=BODIES[what], headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["code"].startswith("E_")
    assert harness.service.ledger.state.seq == before


def test_a_connection_that_is_reset_in_the_middle_leaves_nothing_behind(
    harness: WebHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in (b"GET /v1/dem", head(harness, "Content-Length: 100") + b"{", head(harness, method="GET")):
        with socket.create_connection(("127.0.0.1", httpx.URL(harness.url).port or 80)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(part)
    assert harness.http.get("/healthz").status_code == 200
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err

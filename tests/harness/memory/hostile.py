"""A client in a process of its own that sends bytes as they are, whatever HTTP says of them, and gives back what came.

Reads a JSON list of requests (base64) from standard input; writes the JSON list of answers (base64; empty: none).
"""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    """0: nothing."""
    headers: dict[str, list[str]]
    body: str

    @property
    def code(self) -> str:
        """The code of a problem document; empty when it is none."""
        try:
            return str(json.loads(self.body).get("code", ""))
        except (ValueError, AttributeError):
            return ""


def attack(url: str, requests: Iterable[bytes]) -> list[Answer]:
    """Send each request on a connection of its own, from another process."""
    host, port = url.removeprefix("http://").split(":")
    sent = json.dumps([base64.b64encode(one).decode() for one in requests])
    done = subprocess.run(
        [sys.executable, "-m", __name__, host, port], input=sent, capture_output=True, text=True, check=True
    )
    return [_parsed(base64.b64decode(one)) for one in json.loads(done.stdout)]


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """The bytes of a request; nothing in it is checked."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *length, *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0]:
        return Answer(0, {}, "")
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return Answer(int(lines[0].split(" ")[1]), headers, body.decode("utf-8", "replace"))


def _send(host: str, port: int, raw: bytes) -> bytes:
    found = b""
    try:
        with socket.create_connection((host, port), _ANSWER_SECONDS) as connection:
            connection.sendall(raw)
            while part := connection.recv(65_536):
                found += part
    except OSError:
        pass
    return found


if __name__ == "__main__":
    place = sys.argv[1], int(sys.argv[2])
    answers = [_send(*place, base64.b64decode(one)) for one in json.load(sys.stdin)]
    json.dump([base64.b64encode(one).decode() for one in answers], sys.stdout)

"""A hostile HTTP client in a process of its own: holds many connections open, in one of several ways.

Says `held N` when it holds all, then `left N` whenever it is asked (a line on stdin) how many the server has not ended.
"""

import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TRICKLE_SECONDS = 0.2
_HEADERS = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"


def opening(way: str, target: str, authorization: str) -> bytes:
    """What is sent at first."""
    more = f"Host: x\r\nAuthorization: {authorization}\r\n".encode()
    return {
        "half-open": b"",
        "slow-headers": b"GET / HTTP/1.1\r\nHost: x\r\n",
        "slow-body": f"POST {target} HTTP/1.1\r\n".encode() + _HEADERS + b"\r\n{",
        "no-continue": f"POST {target} HTTP/1.1\r\n".encode() + _HEADERS + b"Expect: 100-continue\r\n\r\n",
        "slow-reader": f"GET {target} HTTP/1.1\r\n".encode() + more + b"\r\n",
    }[way]


TRICKLE = {"slow-headers": b"X-A: b\r\n", "slow-body": b" "}


@dataclass(frozen=True)
class Holding:
    """What is held."""

    port: int
    way: str
    count: int
    target: str
    authorization: str
    renewed: bool
    """Whether a connection that the server ends is opened again."""

    def opened(self) -> socket.socket:
        """One connection."""
        one = socket.socket()
        if self.way == "slow-reader":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        one.connect(("127.0.0.1", self.port))
        one.sendall(opening(self.way, self.target, self.authorization))
        return one


def hold(holding: Holding) -> None:
    """Hold the connections until stdin ends."""
    held = [holding.opened() for _ in range(holding.count)]
    print(f"held {len(held)}", flush=True)
    while True:
        asked, _, _ = select.select([sys.stdin], [], [], _TRICKLE_SECONDS)
        held = [one for one in held if _goes_on(one, holding.way)]
        while holding.renewed and len(held) < holding.count:
            held.append(holding.opened())
        if asked:
            if not sys.stdin.readline():
                return
            print(f"left {len(held)}", flush=True)


def _goes_on(one: socket.socket, way: str) -> bool:
    """Whether the server has not ended it; sends a little more on the way."""
    try:
        if way in TRICKLE:
            one.sendall(TRICKLE[way])
        if way == "slow-reader":  # the end of what is never read shows as an error of the socket only
            return not one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) and not _reset(one)
        one.setblocking(False)
        try:
            while more := one.recv(65_536):
                if way == "no-continue" and not more:
                    return False
            return False
        except BlockingIOError:
            return True
        finally:
            one.setblocking(True)
    except OSError:
        return False


def _reset(one: socket.socket) -> bool:
    """Whether the connection was reset: the kernel says so by an event, without anything being read."""
    poll = select.poll()
    poll.register(one, select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))


@dataclass
class Hostile:
    """A hostile client at work."""

    process: "subprocess.Popen[str]"

    def left(self) -> int:
        """How many connections the server has not ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        word, number = self.process.stdout.readline().split()
        assert word == "left"
        return int(number)

    def until_left(self, most: int, seconds: float = 60.0) -> int:
        """Wait until at most so many are left. Raises AssertionError when that takes longer."""
        for _ in range(int(seconds / _TRICKLE_SECONDS)):
            found = self.left()
            if found <= most:
                return found
            threading.Event().wait(_TRICKLE_SECONDS)
        raise AssertionError(f"{found} connections are left")


@contextmanager
def hostile(
    port: int, way: str, count: int, target: str = "/", authorization: str = "", renewed: bool = False
) -> Iterator[Hostile]:
    """Such a client while the block runs; it holds all of its connections when the block begins.

    renewed: whether it opens another one whenever the server ends one.
    """
    asked = (str(port), way, str(count), target, authorization, "renewed" if renewed else "")
    command = [sys.executable, "-m", "tests.harness.hostile_client", *asked]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"held {count}\n"
            yield Hostile(process)
        finally:
            process.kill()


if __name__ == "__main__":
    given = sys.argv[1:]
    hold(Holding(int(given[0]), given[1], int(given[2]), given[3], given[4], bool(given[5])))

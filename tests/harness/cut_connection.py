"""A way to a server that breaks: forwards a port of this machine, and cuts every connection after so many bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 1 << 12
_LOCAL = "127.0.0.1"


@dataclass(slots=True)
class CutWay:
    """`address` leads through it. `carried`: bytes that came back from the server, over all connections."""

    address: str
    carried: int = 0
    cut_after: int | None = None
    """What `carried` may reach before everything is cut. None: no limit."""
    cuts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def passes(self, data: bytes) -> bytes:
        """What of an answer still gets through."""
        with self._lock:
            room = len(data) if self.cut_after is None else max(self.cut_after - self.carried, 0)
            passed = data[:room]
            self.carried += len(passed)
            return passed


@contextmanager
def cut_way(address: str) -> Iterator[CutWay]:
    """A way to the server of an SQLAlchemy address. Closed at the end, with all that goes over it."""
    parts = urlsplit(address)
    host, port = parts.hostname or _LOCAL, parts.port or 0
    open_: list[socket.socket] = []
    with socket.create_server((_LOCAL, 0)) as listening:
        own = listening.getsockname()[1]
        place = parts.netloc.rpartition("@")[0]
        way = CutWay(parts._replace(netloc=f"{place}@{_LOCAL}:{own}").geturl())
        accepting = threading.Thread(target=_accept, args=(listening, (host, port), way, open_), daemon=True)
        accepting.start()
        try:
            yield way
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            for one in open_:
                _end(one)
            accepting.join(10)


def _accept(listening: socket.socket, target: tuple[str, int], way: CutWay, open_: list[socket.socket]) -> None:
    while True:
        try:
            client, _ = listening.accept()
            server = socket.create_connection(target)
        except OSError:
            return
        open_ += [client, server]
        threading.Thread(target=_forward, args=(client, server, None), daemon=True).start()
        threading.Thread(target=_forward, args=(server, client, way), daemon=True).start()


def _forward(one: socket.socket, other: socket.socket, way: CutWay | None) -> None:
    """Everything from one to the other, until an end or a cut."""
    try:
        while data := one.recv(_CHUNK):
            passed = data if way is None else way.passes(data)
            other.sendall(passed)
            if way is not None and len(passed) < len(data):
                way.cuts += 1
                break
    except OSError:
        pass
    _end(one)
    _end(other)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()

"""A process's small HTTP face: /metrics, /healthz (it goes round) and /readyz (it is at work).

Whoever asks has a few seconds for a request and its answer, however slowly bytes come or go. A few may ask at the same
time: the next one takes the place of who has been there longest. And so many are let in a second that answering them
takes a small part of a processor from the work itself; the others wait outside, in the queue of the system.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog

from exchange.errors import ExchangeError
from exchange.observe.metrics import CONTENT_TYPE, Exposition

_log = structlog.get_logger("exchange.health")
_REQUEST_SECONDS: Final = 10.0
"""Within so long a request has come and its answer has gone."""
_LOOK_SECONDS: Final = 0.5
_MOST_AT_ONCE: Final = 32
_A_SECOND: Final = 20.0
"""How many are let in in the long run."""
_BURST: Final = 20.0
"""How many at once."""
_BACKLOG: Final = 128
_LONGEST_LINE: Final = 300


class HealthServer:
    """Serves in threads of its own until closed. Port 0 takes a free one."""

    def __init__(
        self,
        host: str,
        port: int,
        live: Callable[[], bool],
        unready: Callable[[], Sequence[str]],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """unready: what is not ready and why, a line each without any value; nothing when all is.

        `refresh` is called before metrics are made: the place for gauges that nobody else keeps up to date. Raises
        ExchangeError(E_SETTINGS) when it cannot listen.
        """
        shown = Exposition(refresh)
        questions = {"live": staticmethod(live), "unready": staticmethod(unready), "shown": staticmethod(shown.text)}
        handler = type("Handler", (_Handler,), questions)
        try:
            self._server = _Server((host, port), handler)
        except (OSError, UnicodeError, OverflowError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            where = f"{host}:{port}: {why}; give each process a port of its own (EXCHANGE_METRICS__PORT)"
            raise ExchangeError("E_SETTINGS", f"metrics cannot be shown on {where}") from None
        self.port: int = self._server.server_address[1]
        serve = lambda: self._server.serve_forever(_LOOK_SECONDS)  # noqa: E731
        self._thread = threading.Thread(target=serve, name="health", daemon=True)
        self._thread.start()
        _log.info("health.listening", host=host, port=self.port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Bounds how many ask at once, and for how long."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, *arguments: Any) -> None:
        self._asking: dict[socket.socket, float] = {}
        """Who asks, and since when; the oldest first."""
        self._lock = threading.Lock()
        self._free = _BURST
        self._counted = time.monotonic()
        self._closing = threading.Event()
        super().__init__(*arguments)

    def shutdown(self) -> None:
        """Stop, also while somebody waits outside."""
        self._closing.set()
        super().shutdown()

    def _wait_for_a_place(self) -> None:
        """Wait as long as too many have come; for the one thread that lets them in."""
        now = time.monotonic()
        self._free = min(_BURST, self._free + (now - self._counted) * _A_SECOND) - 1
        self._counted = now
        if self._free < 0:
            self._closing.wait(-self._free / _A_SECOND)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; when too many ask, let go of the oldest."""
        self._wait_for_a_place()
        with self._lock:
            while len(self._asking) >= _MOST_AT_ONCE:
                _let_go(self._asking, next(iter(self._asking)))
            self._asking[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Let go of those whose time is over; looked at now and then."""
        with self._lock:
            late = [one for one, since in self._asking.items() if time.monotonic() - since > _REQUEST_SECONDS]
            for one in late:
                _let_go(self._asking, one)

    def shutdown_request(self, request: Any) -> None:
        """The end of a request."""
        with self._lock:
            self._asking.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes away in the middle is not worth a line."""


def _let_go(asking: dict[socket.socket, float], one: socket.socket) -> None:
    """End a connection; its thread sees that, and closes it."""
    del asking[one]
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    live: Callable[[], bool]
    unready: Callable[[], Sequence[str]]
    shown: Callable[[], bytes]

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.shown())
        elif self.path == "/healthz":
            self._state([] if self.live() else ["hangs"])
        elif self.path == "/readyz":
            self._state(self.unready())
        else:
            self._answer(404, "text/plain", b"not found\n")

    def _state(self, wrong: Sequence[str]) -> None:
        lines = [" ".join(line.split())[:_LONGEST_LINE] for line in wrong] or ["ok"]
        body = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
        self._answer(503 if wrong else 200, "text/plain; charset=utf-8", body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: they are not worth a line."""

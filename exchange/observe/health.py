"""A worker's small HTTP face: /metrics, /healthz (it goes round) and /readyz (it is at work)."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from exchange.errors import ExchangeError
from exchange.observe import metrics

_log = structlog.get_logger("exchange.health")


class HealthServer:
    """Serves in threads of its own until closed. Port 0 takes a free one."""

    def __init__(
        self,
        host: str,
        port: int,
        live: Callable[[], bool],
        ready: Callable[[], bool],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """`refresh` is called before metrics are shown: the place for gauges that nobody else keeps up to date."""
        questions = {"live": staticmethod(live), "ready": staticmethod(ready), "refresh": staticmethod(refresh)}
        handler = type("Handler", (_Handler,), questions)
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise ExchangeError("E_SETTINGS", f"metrics cannot listen on port {port}: {error.strerror}") from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()
        _log.info("health.listening", host=host, port=self.port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    live: Callable[[], bool]
    ready: Callable[[], bool]
    refresh: Callable[[], None]

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        if self.path == "/metrics":
            self.refresh()
            self._answer(200, metrics.CONTENT_TYPE, metrics.exposition())
        elif self.path == "/healthz":
            self._state(self.live())
        elif self.path == "/readyz":
            self._state(self.ready())
        else:
            self._answer(404, "text/plain", b"not found\n")

    def _state(self, good: bool) -> None:
        self._answer(200 if good else 503, "text/plain", b"ok\n" if good else b"not yet\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: they are not worth a line."""

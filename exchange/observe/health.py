"""A worker's small HTTP face: /metrics, /healthz (it goes round) and /readyz (it is at work)."""

import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from exchange.errors import ExchangeError
from exchange.observe import metrics

_log = structlog.get_logger("exchange.health")
_REQUEST_SECONDS = 10
"""Who asks and then says nothing is left after so long."""
_LONGEST_LINE = 300


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

        `refresh` is called before metrics are shown: the place for gauges that nobody else keeps up to date. Raises
        ExchangeError(E_SETTINGS) when it cannot listen.
        """
        questions = {"live": staticmethod(live), "unready": staticmethod(unready), "refresh": staticmethod(refresh)}
        handler = type("Handler", (_Handler,), questions)
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            where = f"{host}:{port}: {why}; give each process a port of its own (EXCHANGE_METRICS__PORT)"
            raise ExchangeError("E_SETTINGS", f"metrics cannot be shown on {where}") from None
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
    timeout = _REQUEST_SECONDS
    live: Callable[[], bool]
    unready: Callable[[], Sequence[str]]
    refresh: Callable[[], None]

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        if self.path == "/metrics":
            self.refresh()
            self._answer(200, metrics.CONTENT_TYPE, metrics.exposition())
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

"""How the application is served: uvicorn's settings, and the place where it listens."""

import socket
from typing import Any, Final

import uvicorn

from exchange.errors import ExchangeError
from exchange.web.server.connections import Bounds, Connections
from exchange.web.server.protocol import protocol_with

_BACKLOG: Final = 512
_MOST_HEAD_BYTES: Final = 32_768
_IDLE_SECONDS: Final = 5
"""Who has had an answer and sends nothing more is left after so long."""


def config_of(app: Any, stop_seconds: int, bounds: Bounds | None = None) -> uvicorn.Config:
    """uvicorn's settings for `app`. stop_seconds: how long requests may go on when it is told to stop."""
    return uvicorn.Config(
        app,
        http=protocol_with(Connections(bounds or Bounds())),
        ws="none",
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        timeout_keep_alive=_IDLE_SECONDS,
        log_config=None,
        access_log=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=stop_seconds,
        server_header=False,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ExchangeError(E_SETTINGS) for an address that is none or a port in use."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise _unusable(host, port, error) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _unusable(host, port, error) from None
    return listening


def _unusable(host: str, port: int, error: Exception) -> ExchangeError:
    why = getattr(error, "strerror", None) or type(error).__name__
    place = f"{host}:{port}: {why}; set EXCHANGE_HTTP__HOST and EXCHANGE_HTTP__PORT"
    return ExchangeError("E_SETTINGS", f"the API cannot listen on {place}")

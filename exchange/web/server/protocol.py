"""How requests are read off a connection: uvicorn with h11 does it; here is how long a client has for it.

A request whose headers do not come in time, an answer that is not taken in time: the connection ends. What is no HTTP
is answered by a problem document.
"""

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from exchange.errors import TABLE
from exchange.web.problems import PROBLEM
from exchange.web.server.connections import Connections

_AT_ONCE: Final = struct.pack("ii", 1, 0)


class RequestProtocol(H11Protocol):
    """uvicorn's protocol with deadlines for what the client owes."""

    waiting: ClassVar[Connections["RequestProtocol"]]
    """All connections of the server that wait for a request."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._address = ""
        self._head_due: asyncio.TimerHandle | None = None
        self._drain_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come: it owes a request."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self.waiting.leave(self._address, self)
        self._head_came()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come: a part of a request, or all of it."""
        super().data_received(data)
        self._look(begun=True)

    def on_response_complete(self) -> None:
        """An answer was written; the client owes taking it, and may send another request."""
        super().on_response_complete()
        self._look(begun=False)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        super().timeout_keep_alive_handler()
        self._look(begun=False)

    def pause_writing(self) -> None:
        """The client does not take what it has asked for as fast as it comes."""
        super().pause_writing()
        self._await_drain()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._taken()

    def handle_events(self) -> None:
        """Take what the parser has found. An answer that has begun cannot be taken back: then the connection ends."""
        try:
            super().handle_events()
        except h11.LocalProtocolError:
            self._abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and close the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._abort()
            return
        entry = TABLE["E_REQUEST"]
        document = {"type": f"urn:exchange:error:{entry.code}", "title": entry.meaning, "status": 400,
                    "detail": msg, "code": entry.code, "advice": entry.advice}  # fmt: skip
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = [("content-type", PROBLEM), ("content-length", str(len(body))), ("connection", "close")]
        parts = (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(body))
        for part in (*parts, h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        if self.cycle is not None and not self.cycle.response_complete:  # its answer has been given
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    # what the client owes

    def _look(self, begun: bool) -> None:
        """See what it owes. begun: whether bytes have just come."""
        if self.transport.is_closing():
            self._await_drain()
            return
        if self.cycle is None or self.cycle.response_complete:
            self._enter()
            if begun and self._head_due is None:
                self._await_head()
            return
        self._head_came()
        if self.cycle.more_body:
            self._enter()
        else:
            self.waiting.leave(self._address, self)

    def _await_head(self) -> None:
        self._enter()
        self._head_due = self.loop.call_later(self.waiting.bounds.head_seconds, self._let_go)

    def _enter(self) -> None:
        last = self.waiting.enter(self._address, self)
        if last is not None:
            last._let_go()

    def _await_drain(self) -> None:
        if self._drain_due is None:
            self._drain_due = self.loop.call_later(self.waiting.bounds.drain_seconds, self._abort)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _taken(self) -> None:
        if self._drain_due is not None:
            self._drain_due.cancel()
            self._drain_due = None

    def _let_go(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
        self._look(begun=False)

    def _abort(self) -> None:
        """End it with a reset: the system forgets what was not taken, too."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()


def protocol_with(waiting: Connections[RequestProtocol]) -> type[RequestProtocol]:
    """The protocol of a server whose waiting connections are these."""
    return type("RequestProtocol", (RequestProtocol,), {"waiting": waiting})

"""The console is where its sessions are, at the leader. A follower sends all of it on, and gives back what comes."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from exchange.errors import ExchangeError
from exchange.web.console.client import Problem
from exchange.web.console.session import PATH
from exchange.web.forwarding import Forwarding
from exchange.web.service import Service

_ANYWHERE: Final = (f"{PATH}/style.css",)
"""What is the same for everybody."""


class AtLeader:
    """Answers at the leader, and by the leader's answer elsewhere; without a leader by a page that says so."""

    def __init__(
        self, app: ASGIApp, service: Service, forwarding: Forwarding, refused: Callable[[Request, Problem], Response]
    ) -> None:
        self._app = app
        self._service = service
        self._forwarding = forwarding
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, to here or to the leader."""
        if scope["type"] != "http" or self._service.ledger.leader or scope["path"] in _ANYWHERE:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await self._forwarding.page(request)
        except ExchangeError as error:
            answer = self._refused(request, Problem.of(error))
        await answer(scope, receive, send)

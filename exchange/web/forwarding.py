"""Commands that reach a follower go on to the leader, once. Reads are served where they arrive."""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import ExchangeError
from exchange.web.problems import problem
from exchange.web.service import Service

HOP: Final = "exchange-forwarded"
"""Marks a request that a follower sent on: whoever gets it and does not lead either answers E_NOT_LEADER."""
SEQ: Final = "exchange-ledger-seq"
"""Of the answer to such a request: what the follower reads up to before it answers, so that its next reads show it."""
_SENT = ("authorization", "idempotency-key", "content-type", "accept")
_OF_PAGES = ("accept", "accept-language", "content-type", "cookie", "host", "origin", "sec-fetch-site")
"""What the leader needs to answer a browser: who it is, what it reads, and whether a page of ours sent the form."""
_OF_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", SEQ)
"""What says nothing of an answer (RFC 9110, 7.6.1), or what this instance says itself."""
_GIVEN_BACK = ("content-type", "retry-after", "www-authenticate")
_ESCAPED = "/%:?#[]@!$&'()*+,;=~"
"""What stands in an address with a meaning, or has been escaped; other bytes are escaped here."""
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 25.0
"""A little longer than the leader itself waits for the ledger."""
_IDLE_SECONDS = 2.0
"""A connection is let go before the leader lets go of it (uvicorn: 5 s): a command sent then would have an open end."""
_READ_ALONG_SECONDS = 2.0


class ElsewhereError(ExchangeError):
    """A request that only the leader can answer came to a follower."""

    def __init__(self) -> None:
        super().__init__("E_NOT_LEADER")


async def at_leader(request: Request) -> None:
    """A dependency of everything that only the leader can answer. Raises ElsewhereError at a follower."""
    service: Service = request.app.state.service
    if not service.ledger.leader:
        raise ElsewhereError


class Forwarding:
    """Sends requests on to the leader that the ledger names, with the caller's own token and idempotency key."""

    def __init__(self, service: Service) -> None:
        self._service = service
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        limits = httpx.Limits(keepalive_expiry=_IDLE_SECONDS)
        # Cookies are of the browser that is answered, never of the next one.
        nobodys = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False, cookies=nobodys)

    def install(self, app: FastAPI) -> None:
        """Answer ElsewhereError by the leader's answer."""

        @app.exception_handler(ElsewhereError)
        async def _elsewhere(request: Request, _error: ElsewhereError) -> Response:
            try:
                return await self._forward(request)
            except ExchangeError as error:
                return problem(request, error)

    async def close(self) -> None:
        """Let go of the client."""
        await self._http.aclose()

    async def page(self, request: Request) -> Response:
        """The leader's answer to a browser, whole. Raises ExchangeError: E_NOT_LEADER, E_LEADER_SILENT."""
        answer = await self._ask(request, _OF_PAGES)
        response = Response(answer.content, answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in _OF_CONNECTION:
                response.headers.append(name, value)
        return response

    async def _forward(self, request: Request) -> Response:
        """The leader's answer. Raises ExchangeError: E_NOT_LEADER when there is none, E_LEADER_SILENT."""
        answer = await self._ask(request, _SENT)
        given = {name: answer.headers[name] for name in _GIVEN_BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, given)

    async def _ask(self, request: Request, sent: tuple[str, ...]) -> httpx.Response:
        leader = await run_in_threadpool(self._service.ledger.read, lambda state: state.leader_url)
        if leader is None or HOP in request.headers:
            raise ExchangeError("E_NOT_LEADER")
        headers = [(name, value) for name, value in request.headers.items() if name in sent]
        try:
            answer = await self._http.request(
                request.method,
                _address(leader, request),
                content=await request.body(),
                headers=[*headers, ("accept-encoding", "identity"), (HOP, "1")],
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL):
            raise ExchangeError("E_NOT_LEADER", "the leader that the ledger names cannot be reached") from None
        except httpx.HTTPError:
            raise ExchangeError("E_LEADER_SILENT") from None
        await self._read_along(answer)
        return answer

    async def _read_along(self, answer: httpx.Response) -> None:
        seq = answer.headers.get(SEQ, "")
        if seq.isascii() and seq.isdigit():
            await run_in_threadpool(self._service.ledger.wait, int(seq) - 1, _READ_ALONG_SECONDS)


class SeqMark:
    """Says in the answer to a forwarded request how far the ledger has grown."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; mark the answer when a follower sent it."""
        if scope["type"] != "http" or not any(name == HOP.encode() for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                seq = await run_in_threadpool(self._service.ledger.read, lambda state: state.seq)
                message["headers"] = [*message.get("headers", ()), (SEQ.encode(), str(seq).encode())]
            await send(message)

        await self._app(scope, receive, marked)


def _address(leader: str, request: Request) -> str:
    """The same path and query at the leader, escaped as the caller escaped them."""
    path = quote(request.scope.get("raw_path") or request.url.path.encode(), safe=_ESCAPED)
    query = quote(request.scope["query_string"], safe=_ESCAPED)
    return leader.rstrip("/") + path + (f"?{query}" if query else "")

"""The way in: who is signed in, the sign-in page, signing out."""

from typing import Annotated, Final
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from exchange.errors import ExchangeError
from exchange.web.access import Gate
from exchange.web.console.client import Api, Problem
from exchange.web.console.rendering import Failure, Look, Names, language_of, show
from exchange.web.console.session import PATH, Sessions, first, forget, has_cookie, keep, own_path
from exchange.web.guard.origin import check_origin
from exchange.web.service import Service

_MOST_INPUTS: Final = 2000
_SEE_OTHER: Final = 303
_REASONS: Final = ("ended", "not_kept", "signed_out")


class AwayError(Exception):
    """Nobody is signed in: the sign-in page comes first."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why
        """One of the reasons that the sign-in page tells; empty: none."""


def signed(request: Request) -> Look:
    """Who looks. A dependency of every page but the sign-in page. Raises AwayError; ExchangeError(E_RATE_LIMIT)."""
    service: Service = request.app.state.service
    gate: Gate = request.app.state.gate
    sessions: Sessions = request.app.state.sessions
    session = sessions.of(request, service.clock.now())
    if session is None:
        raise AwayError(_why_away(request))
    try:
        caller = gate.admit(f"Bearer {session.token}", address_of(request))
    except ExchangeError as error:
        if error.code != "E_TOKEN":
            raise
        sessions.end(session)
        raise AwayError("ended") from None
    return Look(language_of(request), session, caller)


Signed = Annotated[Look, Depends(signed)]


def address_of(request: Request) -> str:
    """Where the browser is; limits count by it."""
    return "" if request.client is None else request.client.host


def api_of(request: Request, look: Look) -> Api:
    """The API for who looks."""
    assert look.session is not None
    return Api(request.app.state.whole, look.session.token, address_of(request))


async def posted_by(request: Request) -> dict[str, list[str]]:
    """A form as it was sent. Raises ExchangeError: E_REQUEST; E_FORM unless the browser says that our page sent it."""
    check_origin(request, told=True)
    try:
        return parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_INPUTS)
    except ValueError:
        raise ExchangeError("E_REQUEST", "it is no form") from None


async def names_of(request: Request) -> Names:
    """What departments and resources are called."""
    service: Service = request.app.state.service
    return await run_in_threadpool(service.ledger.read, Names.of)


def see(address: str) -> RedirectResponse:
    """Go on to another page, after a form."""
    return RedirectResponse(address, _SEE_OTHER)


def away(request: Request, error: AwayError) -> Response:
    """The way to the sign-in page, and back from there to where one was.

    Who follows a link from another site shows no cookie (SameSite=Strict): from this page the browser asks again.
    """
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        return show(request, Look(language_of(request)), "again", going=_where(request))
    asked = {"why": error.why} if error.why else {}
    if request.method == "GET":
        asked["next"] = _where(request)
    response = see(f"{PATH}/sign-in?{urlencode(asked)}" if asked else f"{PATH}/sign-in")
    if has_cookie(request):
        forget(response, request)
    return response


def router() -> APIRouter:
    """The paths of signing in and out."""
    pages = APIRouter()

    @pages.get("/sign-in")
    def sign_in_page(request: Request) -> Response:
        """Asks for a token."""
        why = request.query_params.get("why", "")
        going = own_path(request.query_params.get("next", ""))
        return show(request, Look(language_of(request)), "sign_in", why=why if why in _REASONS else "", next=going)

    @pages.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        """Begins a session, when the token is one."""
        posted = await posted_by(request)
        going = own_path(first(posted.get("next", ())))
        service: Service = request.app.state.service
        gate: Gate = request.app.state.gate
        sessions: Sessions = request.app.state.sessions
        now = service.clock.now()
        token = first(posted.get("token", ())).strip()
        try:
            caller = await run_in_threadpool(gate.admit, f"Bearer {token}", address_of(request))
            session = sessions.begin(token, caller.token, now)
        except ExchangeError as error:
            told = Failure("", Problem.of(error))
            look = Look(language_of(request))
            status = told.problem.status
            return show(request, look, "sign_in", status=status, why="", next=going, failure=told)
        before = sessions.of(request, now)
        if before is not None:
            sessions.end(before)
        response = see(f"{going}{'&' if '?' in going else '?'}signed=1")
        keep(response, session, request)
        return response

    @pages.post("/sign-out")
    async def sign_out(request: Request, look: Signed) -> Response:
        """Ends the session, here and in this browser."""
        posted = await posted_by(request)
        assert look.session is not None
        look.session.check(first(posted.get("proof", ())))
        sessions: Sessions = request.app.state.sessions
        sessions.end(look.session)
        response = see(f"{PATH}/sign-in?why=signed_out")
        forget(response, request)
        return response

    return pages


def _where(request: Request) -> str:
    """The page that was asked for; the first one, when it is none of ours."""
    query = f"?{request.url.query}" if request.url.query else ""
    return own_path(f"{quote(request.url.path)}{query}")


def _why_away(request: Request) -> str:
    if has_cookie(request):
        return "ended"
    return "not_kept" if "signed" in request.query_params else ""

"""The console as an application of its own under `/console`: its headers, its error pages, its sign-in."""

from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from exchange.errors import ExchangeError
from exchange.observe.logs import get_logger
from exchange.web.access import Gate
from exchange.web.console import actions, pages, sign_in
from exchange.web.console.client import Problem, RefusedError
from exchange.web.console.leading import AtLeader
from exchange.web.console.rendering import NO_NAMES, STYLE, Failure, Look, Names, language_of, show
from exchange.web.console.session import PATH, Sessions
from exchange.web.console.sign_in import AwayError, signed
from exchange.web.forwarding import Forwarding
from exchange.web.guard.headers import PAGE_HEADERS, Guarded, complete
from exchange.web.methods import allowed
from exchange.web.service import Service

_NO_METHOD: Final = 405
_FRAMEWORK: Final = {404: "E_NOT_FOUND", _NO_METHOD: "E_METHOD"}
_log = get_logger("exchange.web.console")


def install(app: FastAPI, service: Service, gate: Gate, forwarding: Forwarding) -> None:
    """Put the console into the whole application `app`, whose API it uses."""

    @app.get(PATH, include_in_schema=False)
    def console() -> Response:
        return RedirectResponse(f"{PATH}/")

    app.mount(PATH, _console(app, service, gate, forwarding))


def _console(whole: ASGIApp, service: Service, gate: Gate, forwarding: Forwarding) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service, app.state.gate, app.state.whole = service, gate, whole
    app.state.sessions = Sessions()
    app.add_middleware(AtLeader, service=service, forwarding=forwarding, refused=_message)
    app.add_middleware(Guarded, headers=PAGE_HEADERS)
    _tell_errors(app)

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, media_type="text/css", headers={"cache-control": "public, max-age=86400"})

    for router in (sign_in.router(), actions.router(), pages.router(service)):
        app.include_router(router)
    return app


def _tell_errors(app: FastAPI) -> None:
    """Make every fault a page that says what to do."""

    @app.exception_handler(AwayError)
    async def _away(request: Request, error: AwayError) -> Response:
        return sign_in.away(request, error)

    @app.exception_handler(RefusedError)
    async def _refused(request: Request, error: RefusedError) -> Response:
        return _message(request, error.problem)

    @app.exception_handler(ExchangeError)
    async def _known(request: Request, error: ExchangeError) -> Response:
        return _message(request, Problem.of(error))

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, _error: RequestValidationError) -> Response:
        return _message(request, Problem.of(ExchangeError("E_NOT_FOUND")))

    @app.exception_handler(HTTPException)
    async def _missing(request: Request, error: HTTPException) -> Response:
        try:
            signed(request)
        except AwayError as nobody:
            return sign_in.away(request, nobody)
        page = _message(request, Problem.of(ExchangeError(_FRAMEWORK.get(error.status_code, "E_REQUEST"))))
        if error.status_code == _NO_METHOD:
            page.headers["Allow"] = allowed(request)
        return page

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        _log.error("web.fault", path=getattr(request.scope.get("route"), "path", None), exc_info=error)
        page = _message(request, Problem.of(ExchangeError("E_INTERNAL")))
        complete(page.headers, PAGE_HEADERS)
        return page


def _message(request: Request, problem: Problem) -> Response:
    """The page that says why something was not done; with the navigation for who is signed in."""
    try:
        who = signed(request)
    except (AwayError, ExchangeError):
        who = Look(language_of(request))
    service: Service = request.app.state.service
    names = NO_NAMES if who.caller is None else service.ledger.read(Names.of)
    headers = {"retry-after": problem.retry_seconds} if problem.retry_seconds else {}
    page = show(
        request, who, "message", names=names, status=problem.status, path=f"{PATH}/", failure=Failure("", problem)
    )
    page.headers.update(headers)
    return page

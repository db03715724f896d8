"""The HTTP application of the broker service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

import exchange
from exchange.settings import HttpSettings
from exchange.web import problems
from exchange.web.access import Gate
from exchange.web.console.app import install as install_console
from exchange.web.docs.page import install as install_docs
from exchange.web.forwarding import Forwarding, SeqMark
from exchange.web.guard.headers import API_HEADERS, Guarded
from exchange.web.methods import HeadAsGet
from exchange.web.openapi import describe
from exchange.web.paths import (
    catalogue,
    corrections,
    demands,
    digests,
    disputes,
    grants,
    health,
    ledger,
    quarantine,
    replies,
    report,
    satisfaction,
    succession,
    uses,
)
from exchange.web.registry import paths as registry
from exchange.web.server.request import RequestBounds
from exchange.web.service import Service
from exchange.web.turns import THREADS, AllTurns, TurnTaking


def create_app(service: Service, settings: HttpSettings) -> FastAPI:
    """The application over a running service. Raises ExchangeError(E_SETTINGS) for an unusable operator token file."""
    forwarding = Forwarding(service)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        await forwarding.close()

    app = FastAPI(
        lifespan=lifespan,
        title="Exchange bus",
        version=exchange.__version__,
        description="Demands, grants, evidence and the shared-demand satisfaction rate. No record travels here.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.gate = Gate(service, settings)
    app.state.turns = AllTurns()
    app.add_middleware(SeqMark, service=service)
    app.add_middleware(TurnTaking)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestBounds)
    app.add_middleware(Guarded, headers=API_HEADERS)
    problems.install(app, API_HEADERS)
    forwarding.install(app)
    routers = [
        part.router(service)
        for part in (
            catalogue,
            succession,
            demands,
            replies,
            disputes,
            grants,
            digests,
            uses,
            corrections,
            quarantine,
            satisfaction,
            report,
            registry,
            health,
        )
    ]
    for router in (*routers, ledger.router(service, settings.token_days)):
        app.include_router(router)
    install_console(app, service, app.state.gate, forwarding)
    install_docs(app)
    describe(app)
    return app

"""The pages to look at: each shows what the API answers to who signed in."""

import asyncio
from fractions import Fraction
from typing import Any, Final

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from exchange.calendar import day_in_shanghai
from exchange.errors import TABLE, ExchangeError
from exchange.ledger.state.ledger_state import DemandState, LedgerState
from exchange.web.console import overview as counted
from exchange.web.console import set_aside
from exchange.web.console.client import path_of
from exchange.web.console.detail_pages import show_correction, show_demand, show_grant, show_resource
from exchange.web.console.rendering import asked_of, departments, now_text, places_of, registries, show, words
from exchange.web.console.sign_in import Signed, api_of, names_of
from exchange.web.guard.headers import with_inline_style
from exchange.web.service import Service

TARGET: Final = 0.6
"""What the rate is to be above (the plan's target)."""
_PAGE: Final = 50
_OVERVIEWS_AT_ONCE: Final = 2
_BOOKS: Final = (
    ("books_admission", ("taken", "admitted", "unchanged", "superseded", "quarantined", "expired", "in_flight")),
    (
        "books_shares",
        ("taken", "forwarded", "retracted", "out_of_scope", "unchanged", "quarantined", "in_flight"),
    ),
)
_FORMS: Final = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8"}


def router(service: Service) -> APIRouter:
    """The paths of the pages to look at."""
    pages = APIRouter()
    _first_page(pages, service)
    _lists(pages, service)
    _overseen(pages, service)
    _reports(pages, service)
    _things(pages)
    return pages


def _first_page(pages: APIRouter, service: Service) -> None:
    at_once = asyncio.Semaphore(_OVERVIEWS_AT_ONCE)

    @pages.get("/")
    async def overview(request: Request, look: Signed) -> Response:
        """The rate, what waits for the caller, and what is wrong."""
        caller, now = look.caller, service.clock.now()
        assert caller is not None
        async with api_of(request, look) as api:
            rate = await api.get("/v1/satisfaction", by="registry")
        async with at_once:
            found = await run_in_threadpool(counted.overview, service.ledger.read, caller, now)
        said = service.said()
        aside = await run_in_threadpool(service.ledger.read, lambda state: set_aside.waiting(said, state, caller))
        return show(
            request,
            look,
            "overview",
            names=await names_of(request),
            rate=rate,
            weight=f"{float(Fraction(rate['weight'])):,.2f}",
            target=TARGET,
            registries=sorted(rate["by"]["registry"].items()),
            states=counted.states(found),
            late=sorted((who, clock, count) for (who, clock), count in found.late.items()),
            breaches=counted.causes(found),
            set_aside=aside,
            waiting=found.groups(caller) if counted.waits_for_somebody(caller) else None,
            faulty=found.faulty,
            now=now_text(now),
        )


def _lists(pages: APIRouter, service: Service) -> None:
    record_types = [(name, name) for name in service.schemas.record_types()]

    async def listed(request: Request, look: Signed, path: str, asked: dict[str, str], **more: Any) -> Response:
        async with api_of(request, look) as api:
            found = await api.get(path_of(path), limit=_PAGE, **asked)
        names = await names_of(request)
        place = "catalogue" if path == "resources" else path
        return show(
            request,
            look,
            place,
            names=names,
            items=found["items"],
            following=found["next"],
            departments=departments(names, look.lang),
            record_types=record_types,
            now=now_text(service.clock.now()),
            **more,
        )

    @pages.get("/demands")
    async def demands(request: Request, look: Signed) -> Response:
        """The demands that the caller may see."""
        asked = asked_of(request, "state", "demander", "provider", "registry", "overdue")
        states = words(look.lang, "state", [one.value for one in DemandState])
        more = {"states": states, "registries": registries(look.lang), "next_due": _next_due}
        return await listed(request, look, "demands", asked, **more)

    @pages.get("/grants")
    async def grants(request: Request, look: Signed) -> Response:
        """The grants that the caller may see."""
        names = ("demander", "provider", "record_type", "active", "ends_within_days", "must_dispose")
        return await listed(request, look, "grants", asked_of(request, *names))

    @pages.get("/corrections")
    async def corrections(request: Request, look: Signed) -> Response:
        """The corrections that the caller may see."""
        states = words(look.lang, "correction_state", ["submitted", "answered", "closed"])
        asked = asked_of(request, "state", "demander", "provider", "overdue", "grant")
        return await listed(request, look, "corrections", asked, states=states)

    @pages.get("/catalogue")
    async def catalogue(request: Request, look: Signed) -> Response:
        """What departments offer."""
        return await listed(request, look, "resources", asked_of(request, "provider", "record_type"))


def _overseen(pages: APIRouter, service: Service) -> None:
    @pages.get("/books")
    async def books(request: Request, look: Signed) -> Response:
        """Whether every record is accounted for; the accounts page by page."""
        async with api_of(request, look) as api:
            found = await api.get("/v1/books", limit=_PAGE, **asked_of(request))
        accounts = (
            [one for one in found["items"] if not one["share"]],
            [one for one in found["items"] if one["share"]],
        )
        tables = [(title, columns, some) for (title, columns), some in zip(_BOOKS, accounts, strict=True)]
        names = await names_of(request)
        now = now_text(service.clock.now())
        more = {"closed": found["closed"], "tables": tables, "following": found["next"]}
        return show(request, look, "books", names=names, now=now, **more)

    @pages.get("/quarantine")
    async def quarantine(request: Request, look: Signed) -> Response:
        """How many records wait, and why."""
        async with api_of(request, look) as api:
            counts = (await api.get("/v1/quarantine", limit=1))["counts"]
        rows = (
            None
            if counts is None
            else [
                (slug, code, TABLE[code].meaning if code in TABLE else "", count)
                for slug, codes in counts.items()
                for code, count in codes.items()
            ]
        )
        names = await names_of(request)
        return show(request, look, "quarantine", names=names, counts=rows, now=now_text(service.clock.now()))


def _reports(pages: APIRouter, service: Service) -> None:
    @pages.get("/report")
    async def report(request: Request, look: Signed) -> Response:
        """The years of which there is a report. Raises ExchangeError(E_ROLE) for whom the API has none."""
        assert look.caller is not None
        if "report" not in places_of(look.caller):
            raise ExchangeError("E_ROLE")
        present = day_in_shanghai(service.clock.now()).year
        first = await run_in_threadpool(service.ledger.read, _first_year)
        years = list(range(present, (present if first is None else min(first, present)) - 1, -1))
        return show(request, look, "report", names=await names_of(request), years=years)

    @pages.get("/report/{year}.{form}")
    async def report_of(request: Request, look: Signed, year: int, form: str) -> Response:
        """The report of a year, as the API makes it."""
        if form not in _FORMS:
            raise ExchangeError("E_NOT_FOUND")
        async with api_of(request, look) as api:
            answer = await api.text("/v1/report", {"year": str(year), "form": form})
        return with_inline_style(Response(answer.content, media_type=_FORMS[form]))


def _things(pages: APIRouter) -> None:
    @pages.get("/demands/{demand}")
    async def demand(request: Request, look: Signed, demand: str) -> Response:
        """One demand with its history, and what the caller can do about it."""
        return await show_demand(request, look, demand)

    @pages.get("/grants/{grant}")
    async def grant(request: Request, look: Signed, grant: str) -> Response:
        """One grant with the evidence of its delivery."""
        return await show_grant(request, look, grant)

    @pages.get("/corrections/{correction}")
    async def correction(request: Request, look: Signed, correction: str) -> Response:
        """One correction; to its parties with key and words."""
        return await show_correction(request, look, correction)

    @pages.get("/catalogue/{resource:path}")
    async def resource(request: Request, look: Signed, resource: str) -> Response:
        """One resource with every field."""
        return await show_resource(request, look, resource)


def _next_due(demand: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The clock that a list shows of a demand: the one that is open, else the last one."""
    running = [(name, clock) for name, clock in demand["clocks"].items() if clock is not None]
    waiting = [(name, clock) for name, clock in running if clock["done"] is None]
    return next(iter(waiting or running[-1:]), ("", None))


def _first_year(state: LedgerState) -> int | None:
    """The year of the first demand; None before there is one."""
    first = next(iter(state.demands.values()), None)
    return None if first is None else day_in_shanghai(first.submitted).year

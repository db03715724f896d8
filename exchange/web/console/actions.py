"""The forms: each sends its command to the API and goes on to the page of what was done. Nothing is done by looking."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from exchange.errors import ExchangeError
from exchange.web.console import steps
from exchange.web.console.client import Problem, RefusedError, path_of
from exchange.web.console.detail_pages import show_correction, show_demand, show_grant, show_resource
from exchange.web.console.rendering import Failure, Look
from exchange.web.console.session import PATH, first
from exchange.web.console.sign_in import Signed, api_of, posted_by, see

Again = Callable[[Request, Look, str, Failure], Awaitable[Response]]
"""Shows the page of a thing again, with a form that was not taken."""


def router() -> APIRouter:
    """The paths of the forms."""
    pages = APIRouter()

    @pages.post("/demands/{demand}/{step}")
    async def of_demand(request: Request, look: Signed, demand: str, step: str) -> Response:
        """A step of a demand."""
        form = _form(steps.DEMAND, step)
        sent = _Sent(form, path_of("demands", demand, *form.path), demand)
        return await _send(request, look, sent, show_demand)

    @pages.post("/grants/{grant}/{step}")
    async def of_grant(request: Request, look: Signed, grant: str, step: str) -> Response:
        """A step of a grant, or a doubt about one of its records."""
        form = _form(steps.GRANT, step)
        if step == "doubt":
            return await _send(request, look, _Sent(form, path_of("corrections"), grant, {"grant": grant}), show_grant)
        return await _send(request, look, _Sent(form, path_of("grants", grant, *form.path), grant), show_grant)

    @pages.post("/corrections/{correction}/{step}")
    async def of_correction(request: Request, look: Signed, correction: str, step: str) -> Response:
        """The answer to a correction."""
        form = _form(steps.CORRECTION, step)
        sent = _Sent(form, path_of("corrections", correction, *form.path), correction)
        return await _send(request, look, sent, show_correction)

    @pages.post("/catalogue/{resource:path}/submit")
    async def of_resource(request: Request, look: Signed, resource: str) -> Response:
        """A demand for a resource."""
        form = steps.RESOURCE["submit"]
        sent = _Sent(form, path_of("demands"), resource, {"resource": resource})
        return await _send(request, look, sent, show_resource)

    _looked_at(pages)
    return pages


def _looked_at(pages: APIRouter) -> None:
    """Who only looks at the address of a form, as of a page that shows why it was refused, comes to its thing."""

    for place, forms in (("demands", steps.DEMAND), ("grants", steps.GRANT), ("corrections", steps.CORRECTION)):
        for step in forms:
            pages.get(f"/{place}/{{thing}}/{step}")(_to(place))
    pages.get("/catalogue/{thing:path}/submit")(_to("catalogue"))


def _to(place: str) -> Callable[..., Awaitable[Response]]:
    async def look_at(_look: Signed, thing: str) -> Response:
        return see(f"{PATH}/{place}/{quote(thing)}")

    return look_at


class _Sent:
    """A form that was sent, and where it goes."""

    def __init__(self, form: steps.Form, path: str, thing: str, fixed: Mapping[str, Any] | None = None) -> None:
        self.form, self.path, self.thing = form, path, thing
        self.fixed = fixed or {}


def _form(forms: Mapping[str, steps.Form], name: str) -> steps.Form:
    """The form of this name. Raises ExchangeError(E_NOT_FOUND)."""
    if name not in forms:
        raise ExchangeError("E_NOT_FOUND")
    return forms[name]


async def _send(request: Request, look: Look, sent: _Sent, again: Again) -> Response:
    """Do what a form says, once. Raises ExchangeError(E_FORM) when it is not of this session."""
    posted = await posted_by(request)
    assert look.session is not None
    look.session.check(first(posted.get("proof", ())))
    key = first(posted.get("key", ()))
    try:
        body = {**sent.form.body(posted), **sent.fixed}
        async with api_of(request, look) as api:
            done = await api.post(sent.path, body, key)
    except RefusedError as error:
        return await again(request, look, sent.thing, Failure(sent.form.name, error.problem, posted))
    except ExchangeError as error:
        return await again(request, look, sent.thing, Failure(sent.form.name, Problem.of(error), posted))
    return see(f"{PATH}/{_page_of(done)}?done={sent.form.name}")


def _page_of(done: Mapping[str, Any]) -> str:
    """Where the thing stands that a command answered with."""
    for name, place in (("correction", "corrections"), ("group", "grants"), ("demand", "demands")):
        if name in done:
            return f"{place}/{quote(str(done['grant' if name == 'group' else name]), safe='')}"
    raise AssertionError("a command answers with a demand, a grant or a correction")

"""The pages of single things (a demand, a grant, a correction, a resource), with the forms of what can be done now."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from exchange.broker.demands.terms import record_schema
from exchange.broker.seams import Ledger
from exchange.names import RecordType
from exchange.web.console import steps
from exchange.web.console.client import path_of
from exchange.web.console.rendering import Failure, Look, now_text, show
from exchange.web.console.rows import Row, granted, picked, rows_of, shared, some
from exchange.web.console.session import PATH
from exchange.web.console.sign_in import api_of, names_of
from exchange.web.service import Service

_USES: Final = 100
"""Records of use on the page of a grant."""
_OK: Final = 200


async def show_demand(request: Request, look: Look, demand: str, failure: Failure | None = None) -> Response:
    """The page of a demand. Raises RefusedError when the caller may not see it."""
    async with api_of(request, look) as api:
        one = await api.get(path_of("demands", demand))
        grants = [await api.get(path_of("grants", grant)) for grant in one["grants"]]
    offer = await _offer(request, one["resource"])
    rows = _rows(request, look, one["record_type"])
    asked = shared(some(rows, one["fields"]), offer, one["masks"])
    if grants:
        whole = {name for grant in grants for name in grant["granted_as_asked"]}
        masked = {name for grant in grants for name in grant["masked"]}
        asked = granted(asked, whole, masked)
    named_nothing = one["state"] == "incomplete" and not one["fields"]
    can_be_asked = shared((row for row in rows if row.name in offer), offer, {}) if named_nothing else []
    forms = await _forms(request, look, steps.DEMAND, one)
    return _page(
        request,
        look,
        "demand",
        failure,
        path=f"{PATH}/demands/{one['demand']}",
        names=await names_of(request),
        one={**_NOT_STATED, **one},
        grants=grants,
        forms=forms,
        rows={"consent": picked(asked, one["fields"]), "supplement": can_be_asked},
        rows_asked=asked,
        texts=[row for row in rows if row.text],
        clocks=[(name, clock) for name, clock in one["clocks"].items() if clock is not None],
    )


async def show_grant(request: Request, look: Look, grant: str, failure: Failure | None = None) -> Response:
    """The page of a grant. Raises RefusedError when the caller may not see it."""
    async with api_of(request, look) as api:
        one = await api.get(path_of("grants", grant))
        asked = await api.get(path_of("demands", one["demand"]))
        uses = await api.get(path_of("grants", grant, "uses"), limit=_USES)
    rows = _rows(request, look, one["record_type"])
    given = shared(some(rows, one["fields"]), {}, one["masks"])
    offer = await _offer(request, one["resource"])
    agreed = one["amendment"] or one
    may_give = asked["fields"] if look.caller and look.caller.department else agreed["fields"]
    amendable = picked(shared(some(rows, may_give), offer, asked["masks"]), agreed["fields"])
    return _page(
        request,
        look,
        "grant",
        failure,
        path=f"{PATH}/grants/{one['grant']}",
        names=await names_of(request),
        one=one,
        forms=await _forms(request, look, steps.GRANT, one),
        rows={"amend": amendable, "doubt": given},
        rows_granted=given,
        texts=[row for row in rows if row.text],
        uses=uses["items"],
    )


async def show_correction(request: Request, look: Look, correction: str, failure: Failure | None = None) -> Response:
    """The page of a correction. Raises RefusedError when the caller may not see it."""
    async with api_of(request, look) as api:
        one = await api.get(path_of("corrections", correction))
    return _page(
        request,
        look,
        "correction",
        failure,
        path=f"{PATH}/corrections/{one['correction']}",
        names=await names_of(request),
        one=one,
        forms=await _forms(request, look, steps.CORRECTION, one),
        rows={},
        doubted=some(_rows(request, look, one["record_type"]), one["fields"]),
        texts=[],
    )


async def show_resource(request: Request, look: Look, resource: str, failure: Failure | None = None) -> Response:
    """The page of a resource. Raises RefusedError when there is none."""
    async with api_of(request, look) as api:
        one = await api.get(path_of("resources", resource))
    caller = look.caller
    assert caller is not None
    mine = await run_in_threadpool(_ledger(request).read, lambda state: caller.concerned(state, one["provider"]))
    standing = frozenset(() if mine else (caller.role,))
    rows = _rows(request, look, one["record_type"])
    offered = shared(some(rows, one["fields"]), one["fields"], {})
    can_be_asked = [row for row in offered if row.sharing != "not-shared"]
    return _page(
        request,
        look,
        "resource",
        failure,
        path=f"{PATH}/catalogue/{one['resource']}",
        names=await names_of(request),
        one={**one, "details": {**_NOT_TOLD, **one["details"]}},
        forms=steps.offered(steps.RESOURCE, one, standing),
        rows={"submit": picked(can_be_asked, (row.name for row in rows if row.key))},
        rows_offered=offered,
        texts=[row for row in rows if row.text],
    )


_NOT_STATED: Final = dict.fromkeys(("legal_basis", "scenario", "use_scope", "mode", "answer"), "")
_NOT_TOLD: Final = dict.fromkeys(
    ("abstract", "abstract_zh", "conditions", "conditions_zh", "legal_basis", "review"), ""
)


def _page(request: Request, look: Look, template: str, failure: Failure | None, **context: Any) -> Response:
    done = request.query_params.get("done", "")
    status = _OK if failure is None else failure.problem.status
    return show(
        request,
        look,
        template,
        status=status,
        failure=failure,
        in_form=failure is not None and failure.form in {form.name for form in context["forms"]},
        done=done if done in steps.EVERY and failure is None else "",
        now=now_text(_service(request).clock.now()),
        **context,
    )


async def _forms(
    request: Request, look: Look, forms: Mapping[str, steps.Form], view: Mapping[str, Any]
) -> list[steps.Form]:
    caller = look.caller
    assert caller is not None
    standing = await run_in_threadpool(
        _ledger(request).read,
        lambda state: steps.parties(state, caller, view["demander"], view["provider"]),
    )
    return steps.offered(forms, view, standing)


async def _offer(request: Request, resource: str | None) -> Mapping[str, str]:
    """The fields that a resource offers with the sharing attribute of each."""
    return await run_in_threadpool(
        _ledger(request).read,
        lambda state: dict(state.resources[resource].fields) if resource in state.resources else {},
    )


def _rows(request: Request, look: Look, record_type: str) -> tuple[Row, ...]:
    record = record_schema(_service(request).schemas, RecordType(record_type))
    return () if record is None else rows_of(record, look.lang)


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


def _ledger(request: Request) -> Ledger:
    return _service(request).ledger

"""The path of the yearly report: JSON, a page to print, or one table."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from exchange.broker.rate.report import Report
from exchange.broker.rate.report import report as report_of
from exchange.moments import FIRST_YEAR, LAST_YEAR
from exchange.web.access import Admitted
from exchange.web.guard.headers import with_inline_style
from exchange.web.past import Replays
from exchange.web.report.page import page
from exchange.web.report.table import table
from exchange.web.service import Service

Form = Literal["json", "html", "csv"]
_FORMS: Final[Mapping[str, tuple[Callable[[Report], str], str]]] = {
    "html": (page, "text/html; charset=utf-8"),
    "csv": (table, "text/csv; charset=utf-8; header=present"),
}


def router(service: Service) -> APIRouter:
    """The path of the report."""
    api = APIRouter(prefix="/v1", tags=["satisfaction"])
    replays = Replays(service)

    @api.get(
        "/report",
        response_class=JSONResponse,
        responses={200: {"content": {"text/html": {}, "text/csv": {}}, "description": "The report of the year"}},
    )
    def report(
        _caller: Admitted,
        year: Annotated[int, Query(description="a calendar year of Asia/Shanghai", ge=FIRST_YEAR, le=LAST_YEAR)],
        form: Annotated[Form, Query(description="the report's form")] = "json",
    ) -> Any:
        """The yearly report on the satisfaction rate, computed from the whole ledger; for those who oversee all."""
        with replays.events() as events:
            found = report_of(events, year, service.clock.now())
        if form == "json":
            return found.as_json()
        render, media_type = _FORMS[form]
        return with_inline_style(Response(render(found), media_type=media_type))

    return api

"""Paths of the catalogue: departments, resources, record types."""

from typing import Any

from fastapi import APIRouter

from exchange.broker.departments.commands import department_entry
from exchange.errors import ExchangeError
from exchange.web import views
from exchange.web.access import Admitted, Key
from exchange.web.bodies import DepartmentBody
from exchange.web.paging import PageOf, answer
from exchange.web.service import Service

_SHOWN_ONCE = "keep it now: it is shown once and stored nowhere"
_NOT_SHOWN = "a secret is shown once; if nobody has it, `exchange department rotate-secret` makes a new one"


def router(service: Service) -> APIRouter:
    """The paths of the catalogue."""
    api = APIRouter(prefix="/v1", tags=["catalogue"])
    ledger = service.ledger

    @api.get("/departments")
    def departments(_caller: Admitted, page: PageOf) -> dict[str, Any]:
        """Every department that the ledger knows."""
        return ledger.read(
            lambda state: answer(*page.of((slug, views.department(one)) for slug, one in state.departments.items()))
        )

    @api.get("/departments/{department}")
    def department(department: str, _caller: Admitted) -> dict[str, Any]:
        """One department."""
        return ledger.read(lambda state: views.department(department_entry(state, department)))

    @api.post("/departments", status_code=201)
    def add(body: DepartmentBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Make a department of the catalogue a Kafka principal. Its secret is in this answer and nowhere else."""
        secret = service.add_department(body.department, caller.actor, key)
        return _with_secret(department(body.department, caller), secret)

    @api.post("/departments/{department}/rotate-secret")
    def rotate(department: str, caller: Admitted, key: Key) -> dict[str, Any]:
        """Give a department a new secret; the old one ends within five minutes on open connections.

        Our connectors read the file of their secret again when they are refused; others are restarted.
        """
        secret = service.rotate_secret(department, caller.actor, key)
        shown = ledger.read(lambda state: views.department(department_entry(state, department)))
        return _with_secret(shown, secret)

    @api.get("/resources")
    def resources(
        _caller: Admitted, page: PageOf, record_type: str | None = None, provider: str | None = None
    ) -> dict[str, Any]:
        """What departments offer."""
        return ledger.read(
            lambda state: answer(
                *page.of(
                    (code, views.resource(one))
                    for code, one in state.resources.items()
                    if record_type in (None, one.record_type) and provider in (None, one.provider)
                )
            )
        )

    @api.get("/resources/{resource:path}")
    def resource(resource: str, _caller: Admitted) -> dict[str, Any]:
        """One resource, by its code of the national catalogue guide (which may hold a slash)."""
        found = ledger.read(lambda state: state.resources.get(resource))
        if found is None:
            raise ExchangeError("E_UNKNOWN_RESOURCE")
        return views.resource(found)

    @api.get("/record-types")
    def record_types(_caller: Admitted, page: PageOf) -> dict[str, Any]:
        """Every record type with the meaning of its fields."""
        locked = [service.schemas.latest(name) for name in service.schemas.record_types()]
        return answer(
            *page.of((one.subject, views.record_type(one, one.record)) for one in locked if one.record is not None)
        )

    @api.post("/catalogue")
    def apply(caller: Admitted, key: Key) -> dict[str, Any]:
        """Bring the difference between the catalogue's files at the leader and the ledger into the ledger."""
        return {"events": service.apply_catalogue(caller.actor, key)}

    return api


def _with_secret(shown: dict[str, Any], secret: str | None) -> dict[str, Any]:
    return {**shown, "secret": secret, "note": _NOT_SHOWN if secret is None else _SHOWN_ONCE}

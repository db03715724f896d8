"""Paths of successions: what a department held that exists no more, and who goes on with it."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from exchange.broker.demands.state import demand_state
from exchange.broker.departments.commands import department_entry
from exchange.broker.departments.succession import SucceedDepartment, awaited, held
from exchange.clock import Deadline, format_time
from exchange.ledger.state.ledger_state import LedgerState
from exchange.web.access import Admitted, Key
from exchange.web.bodies import Body
from exchange.web.paths.demands import COMMAND_SECONDS
from exchange.web.service import Service

_Name = Annotated[str, Field(min_length=1, max_length=128)]


class SuccessionBody(Body):
    """Who goes on with what a department held."""

    successors: Annotated[list[_Name], Field(min_length=1, max_length=20)]
    demands: Annotated[dict[_Name, _Name], Field(max_length=1000, default_factory=dict)]
    """The successor for a demand."""
    default: _Name | None = None
    """The successor for every other demand."""
    reason: Annotated[str, Field(max_length=2000)]


def router(service: Service) -> APIRouter:
    """The paths of successions."""
    api = APIRouter(prefix="/v1/departments", tags=["catalogue"])

    @api.get("/{department}/succession")
    def succession(department: str, _caller: Admitted) -> dict[str, Any]:
        """What a department holds, and whether somebody has to say who goes on with it."""
        return service.ledger.read(lambda state: _shown(state, department, service))

    @api.post("/{department}/succeed")
    def succeed(department: str, body: SuccessionBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Say who goes on with what a department held: all of it at once, by one event. The department ends today.

        A merger or a new name has one successor; a split needs one for each demand.
        """
        command = SucceedDepartment(
            department=department,
            heirs=tuple(body.successors),
            demands=body.demands,
            default=body.default,
            reason=body.reason,
        )
        service.ledger.execute(command, caller.actor, key, Deadline.after(COMMAND_SECONDS))
        return service.ledger.read(lambda state: _shown(state, department, service))

    return api


def _shown(state: LedgerState, department: str, service: Service) -> dict[str, Any]:
    entry, now = department_entry(state, department), service.clock.now()
    return {
        "department": entry.department,
        "valid_until": entry.valid_until,
        "successors": list(entry.successors),
        "succeeded": None if entry.succeeded is None else format_time(entry.succeeded),
        "awaited": entry.department in awaited(state, now),
        "demands": [
            {
                "demand": one.demand,
                "state": demand_state(state, one, now).value,
                "record_type": one.record_type,
                "provider": one.provider,
                "grants": [grant for grant in one.grants if state.grants[grant].ended is None],
            }
            for one in held(state, entry.department)
        ],
    }

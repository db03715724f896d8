"""The fold of events on departments: registered, and succeeded by others."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from exchange.ledger.state.ledger_state import DepartmentEntry, LedgerState
from exchange.names import DemandId, Department, GrantId

SUCCEEDED = "department-succeeded"
"""The one event of a succession."""

_Data = Mapping[str, Any]


def department_of(data: _Data) -> DepartmentEntry:
    """The department that the data of a `department-registered` describes."""
    return DepartmentEntry(
        department=Department(data["department"]),
        name=data["name"],
        name_en=data.get("name_en", ""),
        credit_code=data["credit_code"],
        level=data.get("level", ""),
        owns=tuple(data.get("owns", ())),
        valid_from=data.get("valid_from", ""),
        valid_until=data.get("valid_until"),
        successors=tuple(Department(successor) for successor in data.get("successors", ())),
        region=data.get("region", ""),
        registered=bool(data.get("registered")),
    )


def _department_registered(state: LedgerState, data: _Data, _at: datetime) -> None:
    entry = department_of(data)
    before = state.departments.get(entry.department)
    if before is not None:
        entry.registered = entry.registered or before.registered
        entry.followed, entry.succeeded = before.followed, before.succeeded
    state.departments[entry.department] = entry


def _department_succeeded(state: LedgerState, data: _Data, at: datetime) -> None:
    """Its demands get new demanders, grants that none of them may hold end, its successors are known: all or nothing.

    An event without `transfers` tells the successors alone; then a `demand-transferred` tells of each demand.
    """
    successors = tuple(Department(successor) for successor in data.get("successors", ()))
    transfers = [(state.demands[DemandId(name)], Department(heir)) for name, heir in data.get("transfers", {}).items()]
    ended = [(state.grants[GrantId(name)], str(reason)) for name, reason in data.get("ended", {}).items()]
    entry = state.departments.get(Department(data.get("department", "")))
    if entry is not None:
        entry.successors, entry.followed = successors, True
        entry.valid_until = data.get("valid_until", entry.valid_until)
        entry.succeeded = at if "transfers" in data else entry.succeeded
    for demand, heir in transfers:
        demand.demander = heir
    for grant, reason in ended:
        if grant.ended is None:
            grant.ended, grant.end_reason = at, reason
            state.running.pop(grant.grant, None)


def _succession_awaited(state: LedgerState, data: _Data, _at: datetime) -> None:
    """Its successors follow it, but nobody has said which of them goes on with what it held."""
    state.departments[Department(data["department"])].followed = True


DEPARTMENT_HANDLERS: Mapping[str, Callable[[LedgerState, _Data, datetime], None]] = {
    "department-registered": _department_registered,
    SUCCEEDED: _department_succeeded,
    "succession-awaited": _succession_awaited,
}
"""How each event on departments changes the state."""

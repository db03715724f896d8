"""Departments and their resources: the catalogue brought into the ledger, principals and their secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from exchange import names
from exchange.broker.demands.asked import duties
from exchange.broker.demands.state import acts_for
from exchange.catalogue.model import Catalogue, DepartmentSpec, ResourceSpec
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.apply import resource_of
from exchange.ledger.fold.departments import department_of
from exchange.ledger.state.ledger_state import DepartmentEntry, LedgerState, ResourceEntry
from exchange.ledger.store.command import Draft, said
from exchange.names import Department


@dataclass(frozen=True, slots=True)
class ApplyCatalogue:
    """Bring the difference between the catalogue's files and the ledger into the ledger.

    Departments and resources that are new or changed are published, resources that are gone are withdrawn; departments
    stay for ever, their validity ends, and what a succession has said stays too. A demand that nobody could meet is
    matched when one resource now offers all of it. Nothing when there is no difference. Raises
    ExchangeError(E_CATALOGUE) for a code that now means something else.
    """

    departments: tuple[dict[str, Any], ...]
    """Data of a `department-registered` for each."""
    resources: tuple[dict[str, Any], ...]
    """Data of a `resource-published` for each."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> "ApplyCatalogue":
        """The command that applies this catalogue."""
        return cls(
            tuple(_department_data(spec) for spec in catalogue.departments.values()),
            tuple(_resource_data(spec) for spec in catalogue.resources.values()),
        )

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The difference as events, departments first."""
        draft = Draft(state)
        for data in self.departments:
            before = state.departments.get(Department(data["department"]))
            known = _as_succeeded(data, before)
            if before is None or _as_told(before) != department_of(known):
                draft.say("department-registered", data["department"], **known)
        for data in self.resources:
            _refuse_other_meaning(data, state)
            if state.resources.get(data["resource"]) != resource_of(data):
                draft.say("resource-published", data["resource"], **data)
        offered = {data["resource"]: resource_of(data) for data in self.resources}
        for code, resource in state.resources.items():
            if code not in offered and not resource.withdrawn:
                draft.say("resource-withdrawn", code, resource=code)
        _match(draft, list(offered.values()))
        return draft.events


def _as_succeeded(data: dict[str, Any], before: DepartmentEntry | None) -> dict[str, Any]:
    """What the files say of a department, but not that it exists again, or has other heirs, once it was succeeded."""
    if before is None or before.succeeded is None:
        return data
    return {**data, "valid_until": before.valid_until, "successors": list(before.successors)}


def _as_told(before: DepartmentEntry) -> DepartmentEntry:
    """A department without what the catalogue does not tell."""
    return replace(before, registered=False, followed=False, succeeded=None)


def _refuse_other_meaning(data: dict[str, Any], state: LedgerState) -> None:
    """A code names one provider's records for ever: its inbox is read to the end, its grants say whose they are."""
    before = state.resources.get(data["resource"])
    if before is not None and (before.record_type, before.provider) != (data["record_type"], data["provider"]):
        raise ExchangeError(
            "E_CATALOGUE",
            f"resource {before.resource} is {before.record_type} of {before.provider}: another one needs another code",
        )


def _match(draft: Draft, offered: list[ResourceEntry]) -> None:
    """Match what was unmatched with a resource that offers all of it: of several, the first by its code."""
    for demand in draft.state.demands.values():
        if demand.provider is not None or demand.withdrawn is not None:
            continue
        fitting = [
            resource
            for resource in offered
            if resource.record_type == demand.record_type
            and not acts_for(draft.state, demand.demander, resource.provider)
            and demand.details.get("provider", resource.provider) == resource.provider
            and resource.fields.keys() >= {*demand.fields, *(part.field for part in demand.scope)}
        ]
        if fitting:
            found = min(fitting, key=lambda resource: resource.resource)
            draft.say(
                "demand-matched",
                demand.demand,
                demand=demand.demand,
                resource=found.resource,
                provider=found.provider,
                **duties(found, [*demand.fields, *(part.field for part in demand.scope)]),
            )


def _department_data(spec: DepartmentSpec) -> dict[str, Any]:
    return {
        "department": spec.slug,
        "name": spec.name,
        "name_en": spec.name_en,
        "credit_code": spec.credit_code,
        "level": spec.level.value,
        "region": spec.region,
        "owns": list(spec.owns),
        "valid_from": spec.valid_from.isoformat(),
        "valid_until": None if spec.valid_until is None else spec.valid_until.isoformat(),
        "successors": list(spec.successors),
    }


def _resource_data(spec: ResourceSpec) -> dict[str, Any]:
    return {
        "resource": spec.code,
        "record_type": spec.record_type,
        "provider": spec.provider,
        "name": spec.name,
        "name_en": spec.name_en,
        "sharing": spec.sharing.value,
        "fields": {name: sharing.value for name, sharing in spec.fields.items()},
        "update_cycle_seconds": spec.update_cycle_seconds,
        "details": {
            "abstract": spec.abstract,
            "abstract_zh": spec.abstract_zh,
            "conditions": spec.conditions,
            "conditions_zh": spec.conditions_zh,
            "field_conditions": {name: one.model_dump() for name, one in spec.field_conditions.items()},
            "legal_basis": spec.legal_basis,
            "not_shared_basis": dict(spec.not_shared_basis),
            "update_cycle": spec.update_cycle.value,
            "published": spec.published.isoformat(),
            "review": spec.review,
            "consent": spec.consent,
        },
    }


@dataclass(frozen=True, slots=True)
class AddDepartment:
    """Register a department of the catalogue as a Kafka principal. Nothing when it is one.

    Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_NAME_INVALID.
    """

    department: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """A `department-registered` with `registered`."""
        entry = department_entry(state, self.department)
        if entry.registered:
            return ()
        draft = Draft(state)
        draft.say(
            "department-registered",
            entry.department,
            department=entry.department,
            name=entry.name,
            name_en=entry.name_en,
            credit_code=entry.credit_code,
            level=entry.level,
            region=entry.region,
            owns=list(entry.owns),
            valid_from=entry.valid_from,
            valid_until=entry.valid_until,
            successors=list(entry.successors),
            registered=True,
        )
        return draft.events


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """Say that a principal got a new secret. Raises ExchangeError(E_UNKNOWN_DEPARTMENT) when it has none to replace."""

    department: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `secret-rotated`."""
        entry = department_entry(state, self.department)
        if not entry.registered:
            raise ExchangeError("E_UNKNOWN_DEPARTMENT", "the department has no principal yet")
        return said("secret-rotated", entry.department, department=entry.department)


def department_entry(state: LedgerState, department: str) -> DepartmentEntry:
    """The department called `department`. Raises ExchangeError: E_NAME_INVALID, E_UNKNOWN_DEPARTMENT."""
    found = state.departments.get(names.department(department))
    if found is None:
        raise ExchangeError("E_UNKNOWN_DEPARTMENT")
    return found

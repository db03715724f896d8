"""Paths of demands: submit, look, supplement, withdraw, renew."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from exchange.broker.demands.asked import STATED
from exchange.broker.demands.renew import RenewDemand
from exchange.broker.demands.state import demand_of, demand_state
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.demands.supplement import SupplementDemand
from exchange.broker.evidence.said import Said
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, LedgerState
from exchange.ledger.store.command import Command
from exchange.names import DemandId, Department, RecordType
from exchange.web import views
from exchange.web.access import Admitted, Caller, Key
from exchange.web.bodies import DemandBody, ReasonBody, RenewalBody, SupplementBody, conditions
from exchange.web.paging import PageOf
from exchange.web.service import Service

COMMAND_SECONDS = 20.0
"""A command is answered when its event has been read back from Kafka."""


class Wanted(BaseModel):
    """Which demands a list shows."""

    state: DemandState | None = None
    demander: str | None = None
    provider: str | None = None
    registry: str | None = None
    overdue: Annotated[bool | None, Query(description="whether a statutory clock has run out")] = None

    def fits(self, state: LedgerState, one: DemandEntry, now: datetime) -> bool:
        """Whether the list shows this demand."""
        return (
            self.demander in (None, one.demander)
            and self.provider in (None, one.provider)
            and self.registry in (None, one.registry)
            and self.state in (None, demand_state(state, one, now))
            and self.overdue in (None, views.overdue(state, one, now))
        )


def router(service: Service) -> APIRouter:
    """The paths of demands."""
    api = APIRouter(prefix="/v1/demands", tags=["demands"])
    _submitting(api, service)
    _looking(api, service)
    _continuing(api, service)
    return api


def _submitting(api: APIRouter, service: Service) -> None:
    @api.post("", status_code=201, response_model=dict[str, Any])
    def submit(body: DemandBody, caller: Admitted, key: Key) -> JSONResponse:
        """Demand fields of a resource; of a record type, one demand for each department that offers it."""
        if body.replaces is not None:
            show(service, body.replaces, caller)  # whether there is one of others is not for the caller to know
        command = SubmitDemand(
            demander=own(caller),
            resource=body.resource,
            record_type=None if body.record_type is None else RecordType(body.record_type),
            provider=None if body.provider is None else Department(body.provider),
            fields=tuple(body.fields),
            masks=body.masks,
            scope=conditions(body.scope),
            legal_basis=body.legal_basis,
            scenario=body.scenario,
            use_scope=body.use_scope,
            mode=body.mode,
            use_from=body.use_from,
            use_until=body.use_until,
            freshness_seconds=body.freshness_seconds,
            request=body.request,
            replaces=body.replaces,
            schemas=service.schemas,
        )
        demands = run(service, command, caller, key)
        # made here, in the thread that waited for the ledger: else the answer waits for another thread to look at it
        return JSONResponse({**show(service, demands[0], caller), "demands": list(demands)}, 201)


def _looking(api: APIRouter, service: Service) -> None:
    @api.get("")
    def demands(caller: Admitted, page: PageOf, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """Demands; a department sees those it made and those made to it."""
        now = service.clock.now()

        def look(state: LedgerState, name: str) -> dict[str, Any] | None:
            one = state.demands[DemandId(name)]
            shown = caller.concerned(state, one.demander, one.provider) and wanted.fits(state, one, now)
            return views.demand(state, one, now) if shown else None

        return page.through(service.ledger, lambda state: state.demands, look)

    @api.get("/{demand}")
    def demand(demand: str, caller: Admitted) -> dict[str, Any]:
        """One demand with its history and clocks."""
        return show(service, demand, caller)


def _continuing(api: APIRouter, service: Service) -> None:
    @api.post("/{demand}/supplement")
    def supplement(demand: str, body: SupplementBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The demander adds what was missing or asked for."""
        stated = {name: getattr(body, name) for name in STATED if getattr(body, name)}
        command = SupplementDemand(
            demand=demand,
            by=own(caller),
            stated=stated,
            answer=body.answer,
            fields=None if body.fields is None else tuple(body.fields),
            masks=body.masks,
            scope=conditions(body.scope),
            schemas=service.schemas,
        )
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/withdraw")
    def withdraw(demand: str, body: ReasonBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The demander takes its demand back; its grants end."""
        command = WithdrawDemand(demand=demand, by=own(caller), reason=body.reason)
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/renew", status_code=201)
    def renew(demand: str, body: RenewalBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The demander asks for the time after the use period; the answer is the new demand."""
        show(service, demand, caller)
        command = RenewDemand(
            demand=demand,
            by=own(caller),
            use_until=body.use_until,
            legal_basis=body.legal_basis,
            schemas=service.schemas,
        )
        return show(service, run(service, command, caller, key)[0], caller)


def act(service: Service, command: Command, demand: str, by: tuple[Caller, str | None]) -> dict[str, Any]:
    """Do what `command` says to a demand that the caller may see; the demand as it is then."""
    caller, key = by
    show(service, demand, caller)
    run(service, command, caller, key)
    return show(service, demand, caller)


def run(service: Service, command: Command, caller: Caller, key: str | None) -> tuple[str, ...]:
    """Execute a command; the entities of its events."""
    return service.ledger.execute(command, caller.actor, key, Deadline.after(COMMAND_SECONDS)).entities


def show(service: Service, demand: str, caller: Caller) -> dict[str, Any]:
    """A demand with its history, when it concerns the caller. Raises ExchangeError(E_UNKNOWN_DEMAND)."""
    said = service.said()
    return service.ledger.read(lambda state: _shown(state, demand, caller, service.clock.now(), said))


def own(caller: Caller) -> Department:
    """The caller's department. Raises ExchangeError(E_ROLE)."""
    if caller.department is None:
        raise ExchangeError("E_ROLE")
    return caller.department


def _shown(state: LedgerState, demand: str, caller: Caller, now: datetime, said: Said | None) -> dict[str, Any]:
    entry = demand_of(state, demand)
    if not caller.concerned(state, entry.demander, entry.provider):
        raise ExchangeError("E_UNKNOWN_DEMAND")  # whether it exists is not for others to know
    told = {"breaches": views.breaches(said, state, entry), "history": views.history(entry)}
    return {**views.demand(state, entry, now), **told}

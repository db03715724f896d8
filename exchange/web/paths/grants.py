"""Paths of grants: what departments may read, and its end."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from exchange.broker.demands.automatic import ends_within
from exchange.broker.demands.state import grant_of
from exchange.broker.grants.amend import AmendGrant
from exchange.broker.grants.shares import OrderRecovery
from exchange.broker.grants.suspend import ResumeGrant, RevokeGrant, SuspendGrant
from exchange.broker.grants.use import must_dispose
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import Command
from exchange.names import GrantId
from exchange.web import views
from exchange.web.access import Admitted, Caller, Key
from exchange.web.bodies import AmendmentBody, ReasonBody, conditions
from exchange.web.paging import PageOf
from exchange.web.paths.demands import COMMAND_SECONDS
from exchange.web.service import Service


class Wanted(BaseModel):
    """Which grants a list shows."""

    demander: str | None = None
    provider: str | None = None
    record_type: str | None = None
    active: bool | None = None
    ends_within_days: Annotated[int | None, Query(ge=0, le=36_600, description="those that time ends by then")] = None
    must_dispose: Annotated[bool | None, Query(description="whether a disposal is still to be confirmed")] = None

    def fits(self, state: LedgerState, one: GrantEntry, now: datetime) -> bool:
        """Whether the list shows this grant."""
        return (
            self.demander in (None, state.demands[one.demand].demander)
            and self.provider in (None, one.terms.provider)
            and self.record_type in (None, one.terms.record_type)
            and self.active in (None, one.active)
            and self.must_dispose in (None, must_dispose(one))
            and (self.ends_within_days is None or ends_within(state, one, now + timedelta(days=self.ends_within_days)))
        )


def router(service: Service) -> APIRouter:
    """The paths of grants."""
    api = APIRouter(prefix="/v1/grants", tags=["grants"])
    _readings(api, service)
    _acts(api, service)
    return api


def _readings(api: APIRouter, service: Service) -> None:
    @api.get("")
    def grants(caller: Admitted, page: PageOf, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """Grants; a department sees those it holds and those it gave."""
        now = service.clock.now()

        def fits(state: LedgerState, one: GrantEntry) -> bool:
            holder = state.demands[one.demand].demander
            return caller.concerned(state, holder, one.terms.provider) and wanted.fits(state, one, now)

        def look(state: LedgerState, name: str) -> dict[str, Any] | None:
            one = state.grants[GrantId(name)]
            return {**views.grant(state, one), **_looked_at(service, state, one)} if fits(state, one) else None

        return page.through(service.ledger, lambda state: state.grants, look)

    @api.get("/{grant}")
    def grant(grant: str, caller: Admitted) -> dict[str, Any]:
        """One grant, with what a client needs to read it."""
        return show(service, grant, caller)


def _acts(api: APIRouter, service: Service) -> None:
    @api.post("/{grant}/amend")
    def amend(grant: str, body: AmendmentBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Change what a grant gives, within what was asked: a new share is made and filled, then it is the one to read.

        The share before stays readable for the agreed overlap. What is left out stays as it is. An operator or a
        supervisor only takes away fields and rows or hides more: the provider alone gives.
        """
        command = AmendGrant(
            grant=grant,
            by=caller.department,
            reason=body.reason,
            fields=None if body.fields is None else tuple(body.fields),
            masks=body.masks,
            scope=None if body.scope is None else conditions(body.scope),
            freshness_seconds=body.freshness_seconds,
            overlap_seconds=body.overlap_seconds,
            schemas=service.schemas,
        )
        return act(service, command, grant, (caller, key))

    @api.post("/{grant}/recover")
    def recover(grant: str, caller: Admitted, key: Key) -> dict[str, Any]:
        """Mend the suspended share of a grant, after its cause is removed; one whose topic is lost is replaced."""
        return act(service, OrderRecovery(grant), grant, (caller, key))

    @api.post("/{grant}/suspend")
    def suspend(grant: str, body: ReasonBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Stop a grant for a while: the grantee's fetches fail, the share stays."""
        return act(service, SuspendGrant(grant, caller.department, body.reason), grant, (caller, key))

    @api.post("/{grant}/resume")
    def resume(grant: str, caller: Admitted, key: Key) -> dict[str, Any]:
        """End the own suspension of a grant, as its provider an overseer's too; it goes on when no other is left."""
        return act(service, ResumeGrant(grant, caller.department), grant, (caller, key))

    @api.post("/{grant}/revoke")
    def revoke(grant: str, body: ReasonBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """End a grant for good; the grantee's fetches fail within a second."""
        return act(service, RevokeGrant(grant, caller.department, body.reason), grant, (caller, key))


def act(service: Service, command: Command, grant: str, by: tuple[Caller, str | None]) -> dict[str, Any]:
    """Do what `command` says to a grant that the caller may see; the grant as it is then."""
    caller, key = by
    show(service, grant, caller)
    service.ledger.execute(command, caller.actor, key, Deadline.after(COMMAND_SECONDS))
    return show(service, grant, caller)


def show(service: Service, grant: str, caller: Caller) -> dict[str, Any]:
    """A grant that concerns the caller, with what a client needs to read it. Raises ExchangeError(E_UNKNOWN_GRANT)."""
    shown = service.ledger.read(lambda state: _shown(service, state, grant, caller))
    return {**shown, **asdict(service.access)}


def _looked_at(service: Service, state: LedgerState, entry: GrantEntry) -> dict[str, Any]:
    """What is no part of the ledger: the leader sees it in Kafka. Null where it is not looked at."""
    said = service.said()
    return {
        "resync_needed": service.resync_needed(entry.grant),
        "reconciled": service.reconciled(entry.grant),
        "connectors": None if said is None else views.connectors(said, state, entry),
    }


def _shown(service: Service, state: LedgerState, grant: str, caller: Caller) -> dict[str, Any]:
    entry = grant_of(state, grant)
    if not caller.concerned(state, state.demands[entry.demand].demander, entry.terms.provider):
        raise ExchangeError("E_UNKNOWN_GRANT")  # whether it exists is not for others to know
    return {**views.grant(state, entry), **_looked_at(service, state, entry)}

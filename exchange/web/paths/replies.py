"""Paths of replies: what the provider and the competent department say to a demand."""

from typing import Any

from fastapi import APIRouter

from exchange.broker.demands.reply import ConsentDemand, RefuseDemand
from exchange.broker.demands.review import ExtendReply, RequestExtension, ReviewDemand
from exchange.broker.demands.supplement import RequestSupplement
from exchange.errors import ExchangeError
from exchange.web.access import Admitted, Key
from exchange.web.bodies import ConsentBody, ExtensionBody, MissingBody, RefusalBody, ReviewBody, conditions
from exchange.web.paths.demands import act, own
from exchange.web.service import Service


def router(service: Service) -> APIRouter:
    """The paths of replies."""
    api = APIRouter(prefix="/v1/demands", tags=["demands"])
    _before(api, service)
    _replying(api, service)
    return api


def _before(api: APIRouter, service: Service) -> None:
    @api.post("/{demand}/request-supplement")
    def request_supplement(demand: str, body: MissingBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The provider, in review the competent department, asks for everything that is missing, at once."""
        command = RequestSupplement(
            demand=demand, by=caller.department, missing=tuple(body.missing), pauses=service.supplement_pauses
        )
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/review")
    def review(demand: str, body: ReviewBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The competent department passes a demand on to its provider, or sends it back."""
        command = ReviewDemand(
            demand=demand,
            passed=body.passed,
            missing=tuple(body.missing),
            note=body.note,
            pauses=service.supplement_pauses,
        )
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/extend")
    def extend(demand: str, body: ExtensionBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The provider asks for more time to reply, once; the competent department gives it."""
        if caller.department is None:
            command: ExtendReply | RequestExtension = ExtendReply(demand=demand, days=body.days, reason=body.reason)
        elif body.days is None:
            raise ExchangeError("E_EXTENSION", "it asks for a number of days")
        else:
            command = RequestExtension(demand=demand, by=caller.department, days=body.days, reason=body.reason)
        return act(service, command, demand, (caller, key))


def _replying(api: APIRouter, service: Service) -> None:
    @api.post("/{demand}/consent")
    def consent(demand: str, body: ConsentBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The provider grants all or some of the asked fields."""
        command = ConsentDemand(
            demand=demand,
            by=own(caller),
            fields=None if body.fields is None else tuple(body.fields),
            masks=body.masks,
            scope=conditions(body.scope),
            freshness_seconds=body.freshness_seconds,
            conditions=body.conditions,
            until=body.until,
            schemas=service.schemas,
        )
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/refuse")
    def refuse(demand: str, body: RefusalBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The provider refuses, with a reason."""
        command = RefuseDemand(demand=demand, by=own(caller), reason=body.reason, legal_basis=body.legal_basis)
        return act(service, command, demand, (caller, key))

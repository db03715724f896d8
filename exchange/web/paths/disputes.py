"""Paths of disputes: opened, taken one level up, settled."""

from typing import Any

from fastapi import APIRouter

from exchange.broker.demands.dispute import EscalateDispute, OpenDispute, SettleDispute
from exchange.web.access import Admitted, Key
from exchange.web.bodies import GroundsBody, ReasonBody, SettlementBody
from exchange.web.paths.demands import act, own
from exchange.web.service import Service


def router(service: Service) -> APIRouter:
    """The paths of disputes."""
    api = APIRouter(prefix="/v1/demands", tags=["disputes"])

    @api.post("/{demand}/dispute")
    def dispute(demand: str, body: GroundsBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The demander or the provider disputes a reply, its absence, or how a grant is served or used."""
        command = OpenDispute(demand=demand, by=own(caller), grounds=body.grounds)
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/dispute/escalate")
    def escalate(demand: str, body: ReasonBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Take the open dispute one level up: negotiation, competent department, government."""
        command = EscalateDispute(demand=demand, by=caller.department, reason=body.reason)
        return act(service, command, demand, (caller, key))

    @api.post("/{demand}/dispute/settle")
    def settle(demand: str, body: SettlementBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The competent department records how the open dispute ended."""
        command = SettleDispute(demand=demand, outcome=body.outcome, reason=body.reason)
        return act(service, command, demand, (caller, key))

    return api

"""Paths of what a grantee does with granted data: use recorded, purpose ended, data disposed of."""

from typing import Any

from fastapi import APIRouter

from exchange.broker.demands.state import grant_of
from exchange.broker.grants.use import ConfirmDisposal, EndPurpose, RecordUse
from exchange.ledger.state.ledger_state import LedgerState
from exchange.web import views
from exchange.web.access import Admitted, Key
from exchange.web.bodies import DisposalBody, ReasonBody, UseBody
from exchange.web.paging import PageOf, answer
from exchange.web.paths.demands import own
from exchange.web.paths.grants import act, show
from exchange.web.service import Service


def router(service: Service) -> APIRouter:
    """The paths of use and disposal."""
    api = APIRouter(prefix="/v1/grants", tags=["use"])

    @api.post("/{grant}/end-purpose")
    def end_purpose(grant: str, body: ReasonBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The grantee needs the data no longer: the grant ends, the duty to dispose begins."""
        return act(service, EndPurpose(grant=grant, by=own(caller), reason=body.reason), grant, (caller, key))

    @api.post("/{grant}/confirm-disposal")
    def confirm_disposal(grant: str, body: DisposalBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The grantee confirms that what it had taken is disposed of."""
        return act(service, ConfirmDisposal(grant=grant, by=own(caller), how=body.how), grant, (caller, key))

    @api.post("/{grant}/uses", status_code=201)
    def record_use(grant: str, body: UseBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The grantee records scenario, process, effect and storage of its use; kept for ever."""
        command = RecordUse(
            grant=grant,
            by=own(caller),
            scenario=body.scenario,
            process=body.process,
            effect=body.effect,
            storage=body.storage,
        )
        return act(service, command, grant, (caller, key))

    @api.get("/{grant}/uses")
    def uses(grant: str, caller: Admitted, page: PageOf) -> dict[str, Any]:
        """The records of use, oldest first; the provider may inspect them."""
        show(service, grant, caller)

        def question(state: LedgerState) -> dict[str, Any]:
            recorded = enumerate(grant_of(state, grant).uses, 1)
            found, following = page.of((str(number), use) for number, use in recorded)
            return answer([views.use(one) for one in found], following)

        return service.ledger.read(question)

    return api

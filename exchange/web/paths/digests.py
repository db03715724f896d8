"""The digests of a grant's share, for its provider, which cannot read the share but has submitted what is in it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from exchange.broker.demands.state import grant_of
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import ShareName
from exchange.web.access import Admitted, AtLeader, Caller
from exchange.web.problems import PROBLEM
from exchange.web.service import Service

_GONE: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "The grant is not active; the version is not kept any more",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
_Prefix = Annotated[
    str, Query(max_length=64, pattern="^([0-9a-f]{2})*$", description="whole bytes of a key's SHA-256, hexadecimal")
]
_Version = Annotated[int | None, Query(ge=1, description="the one that the answer without a prefix has named")]


def router(service: Service) -> APIRouter:
    """The path of the digests."""
    api = APIRouter(prefix="/v1/grants", tags=["grants"])

    @api.get("/{grant}/digests", responses=_GONE)
    def digests(
        grant: str,
        caller: Admitted,
        _leading: AtLeader,
        prefix: _Prefix = "",
        version: _Version = None,
    ) -> dict[str, Any]:
        """Digests of the share over buckets of keys; below them, the hashes of few keys and of their contents.

        For the two parties of the grant only: a hash of what has few possible values is as good as the value. While
        the share is being read the state is `reading`: ask again.
        """
        share = service.ledger.read(lambda state: _share(state, grant, caller))
        found = service.digests(share, bytes.fromhex(prefix), version)
        if found is None:
            return {"state": "reading"}
        return {"state": "ready", **found}

    return api


def _share(state: LedgerState, grant: str, caller: Caller) -> ShareName:
    entry = grant_of(state, grant)
    if not caller.concerned(state, state.demands[entry.demand].demander, entry.terms.provider):
        raise ExchangeError("E_UNKNOWN_GRANT")  # whether it exists is not for others to know
    if entry.share is None or not entry.active:
        raise ExchangeError("E_GRANT_STATE", "only an active grant is compared")
    return entry.share

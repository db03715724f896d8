"""The path of the satisfaction rate."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from exchange.broker import satisfaction
from exchange.broker.seams import Service
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.state import LedgerState
from exchange.web.access import Anyone

Group = Literal["registry", "demander", "provider"]


def router(service: Service) -> APIRouter:
    """The path of the rate."""
    api = APIRouter(prefix="/v1", tags=["satisfaction"])

    @api.get("/satisfaction")
    def rate(
        _caller: Anyone,
        at: Annotated[AwareDatetime | None, Query(description="RFC 3339; the present when left out")] = None,
        by: Annotated[Group | None, Query(description="also the rate of each registry, demander or provider")] = None,
    ) -> dict[str, Any]:
        """The rate with numerator and denominator; ratios of no counted demand are null."""
        now = service.clock.now()
        moment = at or now
        if moment > now:
            raise ExchangeError("E_REQUEST", "at: it lies in the future")
        last = service.ledger.read(lambda state: state.at)
        if last is None or moment >= last:
            return service.ledger.read(lambda state: _rated(state, moment, by))
        return _rated(service.past(moment), moment, by)

    return api


def _rated(state: LedgerState, at: datetime, by: Group | None) -> dict[str, Any]:
    result: dict[str, Any] = {"at": format_time(at), **satisfaction.rate(state, at).as_json()}
    if by is not None:
        groups = satisfaction.rates(state, at, satisfaction.BY[by])
        result["by"] = {by: {name: one.as_json() for name, one in sorted(groups.items())}}
    return result

"""The path of the satisfaction rate: at any moment, and over any period."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from exchange.broker.rate import satisfaction
from exchange.broker.rate.figures import read_figures
from exchange.broker.rate.periods import Period, year
from exchange.broker.rate.present import Present
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.web.access import Admitted
from exchange.web.moments import Moment
from exchange.web.past import Replays
from exchange.web.service import Service

Group = Literal["registry", "demander", "provider"]


class Asked(BaseModel):
    """Of which moment, or of which period, the rate is asked."""

    model_config = ConfigDict(populate_by_name=True)
    at: Annotated[
        Moment | None, Query(description="RFC 3339; the present when left out; of a period: as known then")
    ] = None
    by: Annotated[Group | None, Query(description="also the rate of each registry, demander or provider")] = None
    year: Annotated[int | None, Query(description="a year of Asia/Shanghai: time-weighted rate and companions")] = None
    from_: Annotated[Moment | None, Query(alias="from", description="RFC 3339: begin of a period")] = None
    until: Annotated[Moment | None, Query(description="RFC 3339: its end, not part of it")] = None

    def period(self) -> Period | None:
        """The period that is asked for; None when a moment is. Raises ExchangeError(E_REQUEST) for half of one."""
        bounds = (self.from_, self.until)
        if self.year is not None:
            if bounds != (None, None):
                raise ExchangeError("E_REQUEST", "ask for a year, or for a period (from and until)")
            return year(self.year)
        if bounds == (None, None):
            return None
        if self.from_ is None or self.until is None:
            raise ExchangeError("E_REQUEST", "a period has from and until")
        return Period(self.from_, self.until)


def router(service: Service) -> APIRouter:
    """The path of the rate."""
    replays, present = Replays(service), Present()
    api = APIRouter(prefix="/v1", tags=["satisfaction"])

    @api.get("/satisfaction")
    def rate(_caller: Admitted, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
        """The rate with numerators and denominators; ratios over nothing are null.

        At a moment: strict, weighted, by need, by field. Over a year or a period: these at its end (or at the present
        before that), the time-weighted rate, and the companions (duties kept in time, refusals, withdrawals).
        """
        now = service.clock.now()
        moment, period = asked.at or now, asked.period()
        if moment > now:
            raise ExchangeError("E_REQUEST", "at: it lies in the future")
        if period is None:
            return _at(service, (replays, present), moment, asked.by)
        with replays.events() as events:
            found = read_figures(events, [period], moment)
        return found.as_json(() if asked.by is None else (asked.by,))

    return api


def _at(service: Service, known: tuple[Replays, Present], moment: datetime, by: Group | None) -> dict[str, Any]:
    replays, present = known
    last = service.ledger.read(lambda state: state.at)
    if last is None or moment >= last:
        return _rated(present.judged(service.ledger.read, moment), moment, by)
    with replays.events() as events:
        return _rated(list(satisfaction.judged(satisfaction.state_at(events, moment), moment)), moment, by)


def _rated(judged: list[satisfaction.Judged], at: datetime, by: str | None) -> dict[str, Any]:
    """The rate at a moment, of the demands that count then; with the groups of `by`."""
    result: dict[str, Any] = {"at": format_time(at), **satisfaction.Rate.of(judged).as_json()}
    if by is not None:
        groups = satisfaction.grouped(judged, satisfaction.BY[by])
        result["by"] = {by: {name: one.as_json() for name, one in sorted(groups.items())}}
    return result

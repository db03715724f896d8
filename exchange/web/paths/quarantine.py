"""Paths of quarantine: what could not go on, whose it is, and what is done about it. No value ever shows."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from exchange.broker.quarantine.commands import Asked, owner_of
from exchange.broker.quarantine.desk import MOST_SETTLED, By
from exchange.broker.quarantine.pick import Outcome, Seen
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import Department
from exchange.quarantine.describe import headers_shown, key_shown, rules_of, value_shown
from exchange.quarantine.look import Filter
from exchange.quarantine.quarantine_id import QuarantineId
from exchange.web.access import Admitted, Caller, Key
from exchange.web.bodies import Body, ReasonBody
from exchange.web.moments import Moment
from exchange.web.paging import PageOf, answer, cursor_of
from exchange.web.service import Service

_Word = Annotated[str, Field(min_length=1, max_length=128)]
_MOST_IDS = 500
_SHOWN_IDS = 100

"""Nobody else: also masked, what stands in quarantine is the matter of its department."""


class Wanted(BaseModel):
    """Which records a list shows."""

    department: _Word | None = None
    code: _Word | None = None
    stage: _Word | None = None
    record_type: _Word | None = None
    since: Annotated[Moment | None, Query(description="put aside at this moment or later")] = None
    status: Literal["waiting", "redriven", "discarded", "any"] = "waiting"


class SettleBody(Body):
    """Which records are redriven or discarded: those with these ids, or those that fit the filters and wait."""

    department: _Word
    ids: Annotated[list[_Word], Field(max_length=_MOST_IDS, default_factory=list)]
    code: _Word | None = None
    stage: _Word | None = None
    record_type: _Word | None = None
    since: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_SETTLED)] = MOST_SETTLED
    after: _Word | None = None
    """`next` of the answer before."""
    dry_run: bool = False

    def asked(self) -> Asked:
        """The question as the command takes it."""
        return Asked(
            tuple(sorted(set(self.ids))),
            self.code,
            self.stage,
            self.record_type,
            None if self.since is None else self.since.astimezone(UTC),
            self.limit,
            self.after,
        )


class DiscardBody(SettleBody, ReasonBody):
    """The same with the reason why the records need not reach the registry."""


def router(service: Service) -> APIRouter:
    """The paths of quarantine."""
    api = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])
    _looking(api, service)
    _settling(api, service)
    return api


def _looking(api: APIRouter, service: Service) -> None:
    @api.get("")
    def records(caller: Admitted, page: PageOf, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """Quarantined records, oldest first in each department; a department sees its own.

        `counts` says how many wait by department and code: counted by the leader, `null` where it is not known. A page
        may be short or empty although `next` says that there is more.
        """
        departments = service.ledger.read(lambda state: _departments(state, caller, wanted.department))
        found, following = service.quarantine.look(
            departments,
            Filter(wanted.code, wanted.stage, wanted.record_type, wanted.since),
            None if wanted.status == "any" else wanted.status,
            page.limit,
            page.after,
        )
        items = [_summary(seen) for seen in found]
        counts = _counts(service, departments) if service.ledger.leader else None
        return {**answer(items, None if following is None else cursor_of(str(following))), "counts": counts}

    @api.get("/{department}/{partition}/{offset}")
    def record(department: str, partition: int, offset: int, caller: Admitted) -> dict[str, Any]:
        """One record: why it is there, what helps, and what it looks like, with names and masks alone."""
        place = QuarantineId(Department(department), partition, offset)
        if not service.ledger.read(lambda state: caller.concerned(state, place.department)):
            raise ExchangeError("E_UNKNOWN_QUARANTINED")  # whether it exists is not for others to know
        seen = service.quarantine.show(place)
        return {**_summary(seen), **_inside(seen, service)}


def _settling(api: APIRouter, service: Service) -> None:
    @api.post("/redrive")
    def redrive(body: SettleBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Let waiting records pass admission again, untouched and in their order.

        An older version than the registry's is superseded there, what was withdrawn stays withdrawn, and what still
        does not pass comes back to quarantine. `left` counts what cannot be redriven at all.
        """
        done = service.quarantine.redrive(body.department, body.asked(), _by(caller, key), body.dry_run)
        return _outcome(body, done, "redriven")

    @api.post("/discard")
    def discard(body: DiscardBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Say, with a reason, that waiting records need not reach the registry. They stay readable 30 days."""
        by = _by(caller, key)
        done = service.quarantine.discard(body.department, body.asked(), body.reason, by, body.dry_run)
        return _outcome(body, done, "discarded")


def _by(caller: Caller, key: str | None) -> By:
    return By(caller.department, caller.actor, key)


def _departments(state: LedgerState, caller: Caller, wanted: str | None) -> list[Department]:
    """The departments whose quarantine is listed. Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_ROLE."""
    if wanted is not None:
        return [owner_of(state, wanted, caller.department)]
    return [one for one in state.departments if caller.concerned(state, one)]


def _counts(service: Service, departments: list[Department]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (department, code), count in sorted(service.quarantine.waiting().items()):
        if department in departments and count:
            counts.setdefault(department, {})[code] = int(count)
    return counts


def _summary(seen: Seen) -> dict[str, Any]:
    entry = seen.entry
    return {
        "id": str(entry.id),
        "department": entry.id.department,
        "at": format_time(datetime.fromtimestamp(entry.at_ms / 1000, UTC)),
        "status": seen.status,
        "stage": entry.stage,
        "code": entry.code,
        "reason": entry.reason,
        "record_type": entry.record_type,
        "bytes": entry.size,
    }


def _inside(seen: Seen, service: Service) -> dict[str, Any]:
    entry, act = seen.entry, seen.act
    return {
        "advice": entry.advice,
        "origin": None if entry.origin is None else str(entry.origin),
        "redriven_from": entry.redriven_from,
        "settled": None
        if act is None
        else {"by": act.by, "at": format_time(act.at), "event": act.seq, "reason": act.reason},
        "key": key_shown(entry.key, rules_of(service.schemas, entry.record_type)),
        "headers": headers_shown(entry.headers),
        "value": value_shown(entry, service.schemas),
    }


def _outcome(body: SettleBody, done: Outcome, verb: str) -> dict[str, Any]:
    return {
        "department": body.department,
        verb: done.count,
        "dry_run": body.dry_run,
        "by_code": dict(done.by_code),
        "left": {why.value: count for why, count in done.left.items()},
        "ids": [str(place) for place in done.ids[:_SHOWN_IDS]],
        "event": done.event,
        "repeated": done.repeated,
        "next": None if done.following is None else str(done.following),
    }

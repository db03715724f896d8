"""Paths of corrections: doubts about single records. Key and words are shown to the two parties alone."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from exchange.broker.corrections.commands import MOST_KEY_BYTES, MOST_WORDS, correction_clock, correction_of
from exchange.broker.corrections.desk import Doubt
from exchange.broker.corrections.store import Written
from exchange.broker.demands.state import grant_of
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import CorrectionId
from exchange.web import views
from exchange.web.access import Admitted, Caller, Key
from exchange.web.bodies import Body
from exchange.web.paging import PageOf
from exchange.web.service import Service

_Name = Annotated[str, Field(min_length=1, max_length=128)]
_Words = Annotated[str, Field(max_length=MOST_WORDS)]


class DoubtBody(Body):
    """Which record of which grant is doubted, and why."""

    grant: _Name
    key: Annotated[str, Field(min_length=1, max_length=MOST_KEY_BYTES)]
    """The record's natural key, as the share has it."""
    fields: Annotated[list[_Name], Field(min_length=1, max_length=200)]
    words: _Words


class AnswerBody(Body):
    """What the provider found; words are needed when nothing changes."""

    answer: Literal["corrected", "withdrawn", "right-as-it-is"]
    words: _Words = ""


class Wanted(BaseModel):
    """Which corrections a list shows."""

    state: Literal["submitted", "answered", "closed"] | None = None
    grant: _Name | None = None
    demander: _Name | None = None
    provider: _Name | None = None
    overdue: Annotated[bool | None, Query(description="whether the answer is or was late")] = None


def router(service: Service) -> APIRouter:
    """The paths of corrections."""
    api = APIRouter(prefix="/v1/corrections", tags=["corrections"])
    _looking(api, service)
    _acting(api, service)
    return api


def _looking(api: APIRouter, service: Service) -> None:
    @api.get("")
    def corrections(caller: Admitted, page: PageOf, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """Corrections; a department sees those it submitted and those about its records. Without key and words."""

        def look(state: LedgerState, name: str) -> dict[str, Any] | None:
            one = state.corrections[CorrectionId(name)]
            shown = _concerned(state, one, caller) and _fits(state, one, wanted, service)
            return _view(state, one, service) if shown else None

        return page.through(service.ledger, lambda state: state.corrections, look)

    @api.get("/{correction}")
    def correction(correction: str, caller: Admitted) -> dict[str, Any]:
        """One correction; to its two parties with key and words, for as long as they are kept (90 days)."""
        return _show(service, correction, caller)


def _acting(api: APIRouter, service: Service) -> None:
    @api.post("", status_code=201)
    def submit(body: DoubtBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Doubt fields of one record that a grant gives. Its provider answers within 10 working days."""
        service.ledger.read(lambda state: _check_grant(state, body.grant, caller))
        doubt = Doubt(body.grant, tuple(dict.fromkeys(body.fields)), body.key, body.words)
        return _show(service, service.corrections.submit(doubt, caller.actor, key), caller)

    @api.post("/{correction}/answer")
    def reply(correction: str, body: AnswerBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """The provider answers. `corrected` and `withdrawn` are closed by the next version of the record."""
        service.ledger.read(lambda state: _known(state, correction, caller))
        service.corrections.answer(correction, body.answer, body.words, caller.actor, key)
        return _show(service, correction, caller)


def _check_grant(state: LedgerState, grant: str, caller: Caller) -> None:
    """Whether a grant exists is not for others to know. Raises ExchangeError(E_UNKNOWN_GRANT)."""
    entry = grant_of(state, grant)
    if not caller.concerned(state, state.demands[entry.demand].demander, entry.terms.provider):
        raise ExchangeError("E_UNKNOWN_GRANT")


def _concerned(state: LedgerState, one: CorrectionEntry, caller: Caller) -> bool:
    return caller.concerned(state, state.demands[one.demand].demander, one.provider)


def _known(state: LedgerState, correction: str, caller: Caller) -> CorrectionEntry:
    """The correction, when the caller may know of it. Raises ExchangeError(E_UNKNOWN_CORRECTION)."""
    entry = correction_of(state, correction)
    if not _concerned(state, entry, caller):
        raise ExchangeError("E_UNKNOWN_CORRECTION")
    return entry


def _fits(state: LedgerState, one: CorrectionEntry, wanted: Wanted, service: Service) -> bool:
    return (
        wanted.state in (None, one.state)
        and wanted.grant in (None, one.grant)
        and wanted.demander in (None, state.demands[one.demand].demander)
        and wanted.provider in (None, one.provider)
        and wanted.overdue in (None, correction_clock(one, service.clock.now()).overdue)
    )


def _show(service: Service, correction: str, caller: Caller) -> dict[str, Any]:
    shown = service.ledger.read(lambda state: _view(state, _known(state, correction, caller), service))
    written = Written() if caller.department is None else service.corrections.written(correction)
    return {**shown, "key": written.key, "words": written.words, "answer_words": written.answer_words}


def _view(state: LedgerState, one: CorrectionEntry, service: Service) -> dict[str, Any]:
    return {
        "correction": one.correction,
        "state": one.state,
        "grant": one.grant,
        "demand": one.demand,
        "demander": state.demands[one.demand].demander,
        "provider": one.provider,
        "record_type": one.record_type,
        "fields": list(one.fields),
        "submitted": format_time(one.submitted),
        "answered": None if one.answered is None else format_time(one.answered),
        "answer": one.answer,
        "closed": None if one.closed is None else format_time(one.closed),
        "version": None if one.version is None else {"partition": one.partition, "offset": one.version},
        "clocks": {"correction": views.statutory(correction_clock(one, service.clock.now()))},
    }

"""What a provider agrees to, in a consent or an amendment: never more than was asked, never what is not shared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.state import NOT_SHARED
from exchange.broker.demands.terms import (
    build_terms,
    check_masks,
    check_scope,
    check_shared,
    check_shown,
    disclosed,
    merged_masks,
    narrowed,
    record_schema,
)
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import (
    Agreement,
    Condition,
    DemandEntry,
    GrantEntry,
    LedgerState,
    ResourceEntry,
    Terms,
)
from exchange.ledger.state.share_terms import terms_to_json
from exchange.names import Department, GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a provider is ready to give of a demand."""

    fields: tuple[str, ...] | None = None
    """Fields to grant; None grants all that is asked."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """Masks that hide more than asked."""
    scope: tuple[Condition, ...] = ()
    """Conditions that rows must meet beside the asked scope."""
    freshness_seconds: int | None = None
    """Agreed freshness; None agrees to what is wanted, or else to the update cycle."""


def agree(
    state: LedgerState, demand: DemandEntry, provider: Department, offer: Offer, schemas: SchemaRepository
) -> Agreement:
    """The agreement that an offer makes of a demand.

    provider: in whose inbox the records come. Raises ExchangeError: E_UNKNOWN_RESOURCE, E_CONSENT, E_MASK, E_SCOPE,
    E_SCOPE_PERSONAL, E_SCOPE_HIDDEN, E_UNKNOWN_FIELD, E_REQUEST.
    """
    resource = resource_of(state, demand)
    terms = _terms(demand, provider, resource, offer, schemas)
    asked, masks = dict(demand.masks), dict(terms.masks)
    as_asked = tuple(name for name in terms.fields if masks.get(name) == asked.get(name))
    return Agreement(
        terms=terms,
        granted=as_asked,
        masked=tuple(name for name in terms.fields if name not in as_asked),
        scope_narrowed=terms.scope != demand.scope,
        freshness_seconds=_freshness(demand, resource, offer),
    )


def agreement_data(agreement: Agreement) -> dict[str, Any]:
    """An agreement as event data."""
    return {
        "fields": list(agreement.granted),
        "masked": list(agreement.masked),
        "scope_narrowed": agreement.scope_narrowed,
        "freshness_seconds": agreement.freshness_seconds,
        "terms": terms_to_json(agreement.terms),
    }


def resource_of(state: LedgerState, demand: DemandEntry) -> ResourceEntry:
    """The resource that a demand asks for. Raises ExchangeError(E_UNKNOWN_RESOURCE)."""
    found = state.resources.get(demand.resource or "")
    if found is None:
        raise ExchangeError("E_UNKNOWN_RESOURCE")
    return found


def check_joinable(state: LedgerState, demander: Department, terms: Terms, beside: Iterable[GrantId] = ()) -> None:
    """Refuse a clear share beside a pseudonymous one of the same record type: the department could join them.

    beside: grants that do not count. Raises ExchangeError(E_PSEUDONYM_BESIDE_CLEAR) that names the other grant.
    """
    other = unjoinable(state, demander, terms, beside)
    if other is not None:
        raise ExchangeError("E_PSEUDONYM_BESIDE_CLEAR", f"{other} has not ended")


def unjoinable(
    state: LedgerState, demander: Department, terms: Terms, beside: Iterable[GrantId] = ()
) -> GrantId | None:
    """A running grant of `demander` that it could join with a share of these terms, where pseudonyms shall prevent it.

    What a grant was before an amendment, and what it will be, is as clear or as pseudonymous as what it is.
    """
    passed = set(beside)
    return next(
        (grant.grant for grant in state.running.values() if _joins(state, grant, demander, terms, passed)), None
    )


def _joins(state: LedgerState, grant: GrantEntry, demander: Department, terms: Terms, passed: set[GrantId]) -> bool:
    return (
        grant.grant not in passed
        and state.demands[grant.demand].demander == demander
        and grant.terms.record_type == terms.record_type
        and grant.terms.pseudonymous != terms.pseudonymous
    )


def _terms(
    demand: DemandEntry, provider: Department, resource: ResourceEntry, offer: Offer, schemas: SchemaRepository
) -> Terms:
    record = record_schema(schemas, demand.record_type)
    if record is None:
        raise ExchangeError("E_UNKNOWN_RESOURCE", "the record type of this resource has no schema")
    fields = demand.fields if offer.fields is None else tuple(dict.fromkeys(offer.fields))
    if not fields or not set(fields) <= set(demand.fields):
        raise ExchangeError("E_CONSENT")
    asked = {name: mask for name, mask in demand.masks if name in fields}
    masks = merged_masks(asked, offer.masks)
    check_masks(record, fields, masks)
    scope = narrowed(check_scope(record, demand.scope), check_scope(record, offer.scope))
    check_shared(resource.fields, scope)
    withheld = [part.field for part in demand.scope if part.field in demand.fields and part.field not in fields]
    if withheld:  # its own conditions a provider names knowingly; by the asked ones it would tell what it keeps back
        raise ExchangeError("E_SCOPE_HIDDEN", f"{withheld[0]} was asked for and would not be given")
    check_shown(record, fields, masks, scope)
    told = disclosed(record, fields, ())
    closed = [name for name in told if NOT_SHARED in (resource.sharing, resource.fields.get(name, NOT_SHARED))]
    if closed:
        raise ExchangeError("E_CONSENT", f"the catalogue does not share {', '.join(closed)}")
    return build_terms(record, provider, fields, masks, scope)


def _freshness(demand: DemandEntry, resource: ResourceEntry, offer: Offer) -> int:
    if offer.freshness_seconds is not None and offer.freshness_seconds <= 0:
        raise ExchangeError("E_REQUEST", "freshness is a positive number of seconds")
    return offer.freshness_seconds or demand.freshness_seconds or resource.update_cycle_seconds


def grants_as_asked(demand: DemandEntry, grant: GrantEntry) -> bool:
    """Whether a grant gives every asked field as asked, for all asked rows."""
    return not grant.scope_narrowed and set(grant.granted).issuperset(demand.fields)

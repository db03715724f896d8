"""A grant gets its share: a new one, or one that exists with equal terms. Pure, harmless when repeated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.avro.subset import subset_schema
from exchange.broker.demands.state import grant_of, running
from exchange.broker.demands.terms import record_schema
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import NEXT
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState, Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.ledger.store.command import Draft
from exchange.names import ShareName


def unplaced(state: LedgerState) -> list[GrantEntry]:
    """Running grants that wait for a share: their first, or the next one after an amendment."""
    return [grant for grant in state.running.values() if _wanted_terms(grant) is not None]


def placement(state: LedgerState, grant: str, schemas: SchemaRepository) -> tuple[ShareName, bool]:
    """The share that `PlaceGrant` gives this grant now, and whether it has to be made.

    Grants with equal terms on a record type that is not personal read one share; a personal one, and one with
    pseudonyms, is of one grant alone. A share's name holds its schema id, which is never given twice. A grant that
    waits for none keeps its own. Raises ExchangeError: E_UNKNOWN_GRANT, E_UNKNOWN_RESOURCE.
    """
    found = grant_of(state, grant)
    terms = _wanted_terms(found)
    if terms is None:
        return ShareName(found.share or ""), False
    if not (_record(terms, schemas).personal or terms.pseudonymous):
        for share in state.shares.values():
            if not (share.deleted or share.replaced or share.suspended) and share.terms == terms:
                return share.share, False
    return ShareName(f"{terms.record_type}.{state.next_schema_id}"), True


@dataclass(frozen=True, slots=True)
class PlaceGrant:
    """Give a grant the share it waits for: a new one, or one that exists with equal terms. Nothing when it has it.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended.
    """

    grant: str
    schemas: SchemaRepository = field(compare=False, repr=False)
    master_version: int = 1
    """Which master secret the share's pseudonyms and hashes are made with."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """A `share-created` if needed, and the `share-assigned`."""
        grant = running(state, self.grant)
        terms = _wanted_terms(grant)
        if terms is None:
            return ()
        share, new = placement(state, self.grant, self.schemas)
        draft = Draft(state)
        if new:
            source = _record(terms, self.schemas).schema
            draft.say(
                "share-created",
                share,
                share=share,
                terms=terms_to_json(terms),
                schema_id=state.next_schema_id,
                schema=subset_schema(source, terms.fields, dict(terms.masks), source["name"]),
                master_version=self.master_version,
            )
        role = {"role": NEXT} if grant.share is not None else {}
        draft.say("share-assigned", grant.grant, grant=grant.grant, share=share, **role)
        return draft.events


def _wanted_terms(grant: GrantEntry) -> Terms | None:
    """The terms of the share that a grant waits for; None when it waits for none."""
    if grant.share is None:
        return grant.terms
    if grant.next is not None and grant.next.share is None:
        return grant.next.agreement.terms
    return None


def _record(terms: Terms, schemas: SchemaRepository) -> RecordSchema:
    record = record_schema(schemas, terms.record_type)
    if record is None:
        raise ExchangeError("E_UNKNOWN_RESOURCE", "the record type of this grant has no schema")
    return record

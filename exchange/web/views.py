"""What the API shows of the ledger: plain JSON, no payload, no secret. Pure functions of the state."""

from datetime import datetime
from typing import Any

from exchange import names
from exchange.avro.lock import LockedSchema
from exchange.avro.record_schema import RecordSchema
from exchange.broker.demands.automatic import end_of
from exchange.broker.demands.clocks import StatutoryClock, clocks
from exchange.broker.demands.state import demand_state, grant_state
from exchange.broker.evidence.books import Account, Backfill
from exchange.broker.evidence.said import Said, Source
from exchange.broker.grants.freshness import SET_ASIDE
from exchange.broker.grants.use import must_dispose
from exchange.clock import format_time
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import (
    Agreement,
    Amendment,
    Breach,
    DemandEntry,
    DepartmentEntry,
    Dispute,
    Extension,
    GrantEntry,
    LedgerState,
    ResourceEntry,
)
from exchange.ledger.state.ownership import heirs
from exchange.ledger.state.share_terms import scope_to_json
from exchange.ledger.state.token import TokenEntry
from exchange.ledger.state.use_history import UseRecord
from exchange.names import ShareName

Json = dict[str, Any]


def department(entry: DepartmentEntry) -> Json:
    """A department."""
    return {
        "department": entry.department,
        "name": entry.name,
        "name_en": entry.name_en,
        "credit_code": entry.credit_code,
        "level": entry.level,
        "region": entry.region,
        "owns": list(entry.owns),
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "successors": list(entry.successors),
        "registered": entry.registered,
    }


def resource(entry: ResourceEntry) -> Json:
    """A resource of the catalogue."""
    return {
        "resource": entry.resource,
        "record_type": entry.record_type,
        "provider": entry.provider,
        "name": entry.name,
        "name_en": entry.name_en,
        "sharing": entry.sharing,
        "fields": dict(entry.fields),
        "update_cycle_seconds": entry.update_cycle_seconds,
        "withdrawn": entry.withdrawn,
        "details": dict(entry.details),
    }


def record_type(locked: LockedSchema, record: RecordSchema) -> Json:
    """A record type with the meaning of every field."""
    return {
        "record_type": record.record_type,
        "registry": names.registry_of(record.record_type),
        "personal": record.personal,
        "natural_key": list(record.natural_key),
        "subject": locked.subject,
        "version": locked.version,
        "schema_id": locked.id,
        "fields": [
            {
                "name": rule.name,
                "meaning": rule.meaning,
                "meaning_zh": rule.meaning_zh,
                "standard": rule.standard or None,
                "code_set": rule.code_set or None,
                "identifier": rule.identifier or None,
                "sharing": rule.sharing or None,
                "personal": rule.personal,
                "required": rule.required,
            }
            for rule in record.fields
        ],
    }


def demand(state: LedgerState, entry: DemandEntry, now: datetime) -> Json:
    """A demand with its state and clocks."""
    running = clocks(state, entry, now)
    return {
        "demand": entry.demand,
        "request": entry.request,
        "state": demand_state(state, entry, now).value,
        "demander": entry.demander,
        "provider": entry.provider,
        "registry": entry.registry,
        "record_type": entry.record_type,
        "resource": entry.resource,
        "fields": list(entry.fields),
        "masks": dict(entry.masks),
        "scope": scope_to_json(entry.scope),
        "missing": list(entry.missing),
        "submitted": format_time(entry.submitted),
        "complete": _time(entry.complete),
        "replied": _time(entry.replied),
        "refused": _time(entry.refused),
        "withdrawn": _time(entry.withdrawn),
        "use_from": _time(entry.use_from),
        "use_until": _time(entry.use_until),
        "freshness_seconds": entry.freshness_seconds,
        "grants": list(entry.grants),
        "renews": entry.renews,
        "replaces": entry.replaces,
        "replaced_by": _replacement(state, entry),
        "refusal": None if entry.refused is None else _refusal(entry),
        "extension": None if entry.extension is None else _extension(entry.extension),
        "dispute": None if entry.dispute is None else _dispute(entry.dispute),
        "clocks": {name: statutory(getattr(running, name)) for name in ("review", "reply", "delivery")},
        "faulty": running.faulty,
        **entry.details,
    }


def _replacement(state: LedgerState, entry: DemandEntry) -> str | None:
    """The demand that has taken the place of this one, or is to."""
    others = (state.demands[one] for one in state.replacements.get(entry.demand, ()))
    return next((one.demand for one in others if one.refused is None and one.withdrawn is None), None)


def _refusal(entry: DemandEntry) -> Json:
    return {"reason": entry.refusal_reason, "legal_basis": entry.refusal_basis}


def _extension(asked: Extension) -> Json:
    return {"days": asked.days, "asked": format_time(asked.asked), "given": _time(asked.given)}


def _dispute(found: Dispute) -> Json:
    return {
        "by": found.by,
        "level": found.level,
        "opened": format_time(found.opened),
        "settled": _time(found.settled),
        "outcome": found.outcome,
    }


def history(entry: DemandEntry) -> list[Json]:
    """The events of a demand, oldest first; of a breach also its cause and its reason, else null."""
    return [
        {
            "seq": event.seq,
            "event": event.event,
            "at": format_time(event.at),
            "actor": event.actor,
            **dict(zip(("cause", "reason"), [*event.about.split(), None, None], strict=False)),
        }
        for event in entry.history
    ]


def breaches(said: Said | None, state: LedgerState, entry: DemandEntry) -> list[Json]:
    """The open breaches of a demand's grants. Of one for what is set aside, how many of how many, where it is told."""
    return [
        {
            "grant": name,
            "cause": breach.cause,
            "since": format_time(breach.since),
            "reason": breach.reason or None,
            **_counts(said, state, state.grants[name], breach),
        }
        for name in entry.grants
        if state.grants[name].ended is None
        for breach in state.grants[name].breaches.values()
    ]


def _counts(said: Said | None, state: LedgerState, grant: GrantEntry, breach: Breach) -> Json:
    providers = (grant.terms.provider, *heirs(grant.terms.provider, state))
    told = None
    if said is not None and breach.reason == SET_ASIDE:
        told = said.worst(breach.cause, grant.grant, grant.terms.record_type, providers)
    return {"set_aside": None if told is None else told[0], "of": None if told is None else told[1]}


def overdue(state: LedgerState, entry: DemandEntry, now: datetime) -> bool:
    """Whether a statutory clock of the demand has run out."""
    return any(clock.overdue for _, clock in clocks(state, entry, now).running)


def grant(state: LedgerState, entry: GrantEntry) -> Json:
    """A grant: what its demander may read, and how it is served. Topic and group are null before it has a share."""
    asked = state.demands[entry.demand]
    share = state.shares.get(entry.share) if entry.share is not None else None
    return {
        "grant": entry.grant,
        "demand": entry.demand,
        "state": grant_state(entry).value,
        "active": entry.active,
        "demander": asked.demander,
        "resource": asked.resource,
        **_agreement(agreement_of(entry)),
        "share": entry.share,
        "topic": None if entry.share is None else names.share_topic(entry.share),
        "group": names.grant_group(entry.grant),
        "receipt_topic": names.receipt_topic(entry.grant),
        "schema_id": None if share is None else share.schema_id,
        "shares": _shares(state, entry),
        "share_suspended": None if share is None else share.suspended,
        "amendment": None if entry.next is None else _amendment(entry.next),
        "consented": format_time(entry.consented),
        "activated": _time(entry.activated),
        "first_delivered": _time(entry.first_delivered),
        "empty": entry.empty,
        "breaches": [
            {"cause": breach.cause, "since": format_time(breach.since), "reason": breach.reason or None}
            for breach in entry.breaches.values()
        ],
        "suspended": entry.suspended,
        "suspension_reason": "; ".join(why for _, why in sorted(entry.suspensions.items()) if why) or None,
        "suspended_by": sorted(entry.suspensions),
        "automatic": entry.automatic,
        "conditions": entry.conditions,
        "ends": _time(end_of(state, entry)),
        "announced": list(entry.announced),
        "must_dispose": must_dispose(entry),
        "disposed": _time(entry.disposed),
        "uses": len(entry.uses),
        "ended": _time(entry.ended),
        "end_reason": entry.end_reason,
        "use_until": _time(asked.use_until),
    }


def connectors(said: Said, state: LedgerState, entry: GrantEntry) -> Json:
    """The sources that a grant is served from, and its sink; null while the sink has said nothing."""
    providers = (entry.terms.provider, *heirs(entry.terms.provider, state))
    sink = said.sinks.get(entry.grant)
    return {
        "sources": [_source(one) for one in said.of(entry.terms.record_type, providers)],
        "sink": None
        if sink is None
        else {"taken": sink.taken, "set_aside": sink.set_aside, "too_many_since": _time(sink.too_many_since)},
    }


def _source(one: Source) -> Json:
    report = one.report
    return {
        "department": one.department,
        "connector": report.connector,
        "state": report.state.value,
        "code": report.code,
        "since": format_time(report.since),
        "rows": report.rows,
        "set_aside": report.set_aside,
        "set_aside_since": _time(report.set_aside_since),
        "too_many_since": _time(one.too_many_since),
        "reported": format_time(report.at),
    }


def use(one: UseRecord) -> Json:
    """A record of use."""
    told = {"scenario": one.scenario, "process": one.process, "effect": one.effect, "storage": one.storage}
    return {"at": format_time(one.at), **told}


def _agreement(agreed: Agreement) -> Json:
    terms = agreed.terms
    return {
        "provider": terms.provider,
        "record_type": terms.record_type,
        "fields": list(terms.fields),
        "masks": dict(terms.masks),
        "scope": scope_to_json(terms.scope),
        "pseudonymous": terms.pseudonymous,
        "granted_as_asked": list(agreed.granted),
        "masked": list(agreed.masked),
        "scope_narrowed": agreed.scope_narrowed,
        "freshness_seconds": agreed.freshness_seconds,
    }


def _amendment(coming: Amendment) -> Json:
    """What a grant will be when its next share has joined."""
    return {**_agreement(coming.agreement), "share": coming.share, "overlap_seconds": coming.overlap_seconds}


def _shares(state: LedgerState, entry: GrantEntry) -> list[Json]:
    """The shares of a grant: the one to read now first, then those of the time before and after an amendment."""
    until = {former.share: former.until for former in entry.former}
    return [_share(state, share, entry, until.get(share)) for share in entry.shares]


def _share(state: LedgerState, share: ShareName, entry: GrantEntry, until: datetime | None) -> Json:
    known = state.shares.get(share)
    coming = entry.next is not None and share == entry.next.share
    suspended = None
    if known is not None and known.suspended is not None:
        suspended = {"code": known.suspended, "since": _time(known.suspended_since)}
    return {
        "share": share,
        "topic": names.share_topic(share),
        "schema_id": None if known is None else known.schema_id,
        "role": "current" if share == entry.share else "next" if coming else "previous",
        "readable_until": None if share == entry.share or coming else _time(until),
        "suspended": suspended,
    }


def token(entry: TokenEntry) -> Json:
    """A token, without its digest."""
    return {
        "id": entry.token,
        "label": entry.label,
        "role": entry.role,
        "department": entry.department,
        "issuer": entry.issuer,
        "issued": _time(entry.issued),
        "expires": _time(entry.expires),
        "revoked": entry.revoked,
    }


def account(entry: Account) -> Json:
    """The books of a record type or a share."""
    return {
        "record_type": entry.record_type,
        "share": entry.share,
        "entries": dict(entry.entries),
        "difference": entry.difference,
        "closed": entry.difference == 0,
        "quarantined_by_code": dict(entry.by_code),
        "handed_over": entry.handed_over.records,
        "faulty": entry.handed_over.faulty,
        "backfilling": None if entry.backfilling is None else _backfill(entry.backfilling),
    }


def _backfill(progress: Backfill) -> Json:
    return {"sent": progress.sent, "remaining": progress.remaining, "percent": round(progress.percent, 1)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def statutory(clock: StatutoryClock | None) -> Json | None:
    """A statutory clock; null while it does not run."""
    if clock is None:
        return None
    return {
        "due": clock.due.isoformat(),
        "provisional": clock.provisional,
        "done": None if clock.done is None else clock.done.isoformat(),
        "overdue": clock.overdue,
    }

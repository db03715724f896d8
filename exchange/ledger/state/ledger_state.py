"""What the ledger says: departments, resources, demands, grants and shares after a sequence of events."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.demand_history import DemandHistory
from exchange.ledger.state.demand_index import DemandIndex
from exchange.ledger.state.idempotency_keys import IdempotencyKeys
from exchange.ledger.state.settled_quarantine import SettledRecords
from exchange.ledger.state.token import TokenEntry
from exchange.ledger.state.use_history import UseHistory
from exchange.ledger.state.written_today import WrittenToday
from exchange.names import CorrectionId, DemandId, Department, GrantId, RecordType, SchemaId, ShareName


class DemandState(StrEnum):
    """The states of a demand, as users see them."""

    INCOMPLETE = "incomplete"
    SUBMITTED = "submitted"
    UNMATCHED = "unmatched"
    IN_REVIEW = "in-review"
    CONSENTED = "consented"
    REFUSED = "refused"
    ACTIVATING = "activating"
    SERVING = "serving"
    BREACHED = "breached"
    SUSPENDED = "suspended"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a row scope: `field` `operator` `values` (equals and prefix take one value)."""

    field: str
    operator: str
    """`equals`, `in` or `prefix`."""
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """One cut of a record type. Equal terms of a record type that is not personal share one topic."""

    record_type: RecordType
    provider: Department
    fields: tuple[str, ...]
    """Granted fields, in the order of the registry's schema."""
    masks: tuple[tuple[str, str], ...] = ()
    """(field, mask) sorted by field; mask is `first`, `ends`, `year` or `pseudonym`."""
    scope: tuple[Condition, ...] = ()
    """A conjunction; empty = all rows of the provider."""
    pseudonymous: bool = False
    """Whether keys and ids of the share are pseudonyms: a key field is not granted in clear."""


@dataclass(slots=True)
class DepartmentEntry:
    """A department as the ledger knows it."""

    department: Department
    name: str
    name_en: str
    credit_code: str
    level: str
    owns: tuple[str, ...]
    """First characters of credit codes that this department registers."""
    valid_from: str
    valid_until: str | None
    successors: tuple[Department, ...]
    region: str = ""
    registered: bool = False
    """Whether it has a Kafka principal (`department add`)."""
    followed: bool = False
    """Whether its day has come: from then on its successors own its keys and speak for it."""
    succeeded: datetime | None = None
    """When what it held was given to its successors, all at once."""

    @property
    def heirs(self) -> tuple[Department, ...]:
        """Its successors, once they follow it."""
        return self.successors if self.followed else ()


@dataclass(slots=True)
class ResourceEntry:
    """A catalogue entry: what one provider offers of one record type."""

    resource: str
    """The resource code of the national catalogue guide."""
    record_type: RecordType
    provider: Department
    name: str
    name_en: str
    sharing: str
    """`unconditional`, `conditional` or `not-shared`."""
    fields: dict[str, str]
    """Every offered field and its own sharing attribute."""
    update_cycle_seconds: int
    withdrawn: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    """What else the catalogue says: conditions, legal basis, update cycle in words."""


class Provider(Protocol):
    """What the keys of a department tell it by."""

    @property
    def credit_code(self) -> str:
        """Its credit code."""
        ...

    @property
    def owns(self) -> tuple[str, ...]:
        """First characters of credit codes that it registers."""
        ...


@dataclass(frozen=True, slots=True)
class Heritage:
    """A provider that was merged into others or split, and who speaks for it now."""

    heirs: tuple[Department, ...]
    credit_code: str
    owns: tuple[str, ...]


@dataclass(slots=True)
class ShareEntry:
    """A share: its terms, its schema, its topic."""

    share: ShareName
    terms: Terms
    schema_id: SchemaId
    schema: dict[str, Any]
    master_version: int
    created: datetime
    deleted: bool = False
    suspended: str | None = None
    """The error code for which the delivery line leaves it out; None while it is delivered."""
    suspended_since: datetime | None = None
    """Of the last suspension, also when that is over."""
    recovery_ordered: bool = False
    """Whether the reconciler is to mend it."""
    recoveries: int = 0
    """How often it was mended: the line takes a suspended share up again when this has grown."""
    replaced: bool = False
    """Whether its grants get another share, because its topic is lost; no grant is given it any more."""
    heritage: Heritage | None = None
    """Of whom its provider's records come now, as delivery reads the ledger; None while the provider exists."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a provider agreed to: the part of a grant that can be amended."""

    terms: Terms
    granted: tuple[str, ...]
    """Asked fields granted as asked."""
    masked: tuple[str, ...]
    """Asked fields granted with a stronger mask than asked."""
    scope_narrowed: bool
    freshness_seconds: int


@dataclass(slots=True)
class Amendment:
    """What a grant will be when its next share has joined."""

    agreement: Agreement
    overlap_seconds: int
    """How long the share before stays readable after that."""
    share: ShareName | None = None
    """The next share, as soon as there is one."""


@dataclass(frozen=True, slots=True)
class FormerShare:
    """A share that a grant may still read after an amendment."""

    share: ShareName
    until: datetime


@dataclass(slots=True)
class Breach:
    """One open cause of a grant's breach."""

    cause: str
    """`grantee`, `exchange` or `provider`."""
    since: datetime
    reason: str = ""
    """What of the agreed does not hold; empty: freshness or, of the provider, signs of life."""


@dataclass(slots=True)
class GrantEntry:
    """The terms of a consented demand."""

    grant: GrantId
    demand: DemandId
    terms: Terms
    granted: tuple[str, ...]
    """Asked fields granted as asked."""
    masked: tuple[str, ...]
    """Asked fields granted with a stronger mask than asked."""
    scope_narrowed: bool
    freshness_seconds: int
    consented: datetime
    until: datetime | None = None
    """When the provider lets it end before the use period does."""
    conditions: str = ""
    """Under which conditions it was given."""
    automatic: bool = False
    """Whether the catalogue's sharing attribute gave it, without a person."""
    share: ShareName | None = None
    activated: datetime | None = None
    suspensions: dict[str, str] = field(default_factory=dict)
    ended: datetime | None = None
    end_reason: str | None = None
    announced: tuple[int, ...] = ()
    """Of which numbers of days before its end the notice was given."""
    disposed: datetime | None = None
    """When the grantee confirmed that it disposed of what it had taken (Order 809, art. 27)."""
    uses: UseHistory = field(default_factory=UseHistory)
    """What the grantee recorded about its use (Order 809, art. 29)."""
    first_delivered: datetime | None = None
    empty: bool = False
    breaches: dict[str, Breach] = field(default_factory=dict)
    """Open causes; in breach while any is open."""
    next: Amendment | None = None
    """The newest amendment, while its share has not joined."""
    former: tuple[FormerShare, ...] = ()
    """Shares of the time before amendments, while they are readable."""
    switched: datetime | None = None
    """When the present share became the one to read, after an amendment."""

    @property
    def shares(self) -> tuple[ShareName, ...]:
        """Every share that it reads while it is active: the present one, the next one, former ones."""
        coming = self.next.share if self.next is not None else None
        named = (self.share, coming, *(one.share for one in self.former))
        return tuple(dict.fromkeys(share for share in named if share is not None))

    @property
    def suspended(self) -> bool:
        """Whether anybody has: `suspensions` says who (`provider`, `overseer`, `exchange`) and why."""
        return bool(self.suspensions)

    @property
    def active(self) -> bool:
        """Activated, not suspended, not ended."""
        return self.activated is not None and not self.suspended and self.ended is None


@dataclass(slots=True)
class SupplementRequest:
    """One request for more material to a demand that was complete, and its answer."""

    at: datetime
    pauses: bool
    """Whether the reply's clock stands still until the answer: a policy of the time of the request."""
    answered: datetime | None = None
    in_review: bool = False
    """Whether the competent department asked, in its review: then its clock stands still, and not the provider's."""


@dataclass(slots=True)
class Extension:
    """The one extension of a reply: asked for by the provider, given by the competent department."""

    days: int
    """Working days, at most 10 (Order 809, art. 21)."""
    asked: datetime
    given: datetime | None = None


@dataclass(slots=True)
class Dispute:
    """A dispute about a demand, on its way from negotiation upwards (Order 809, art. 28)."""

    opened: datetime
    by: Department
    level: str
    """`negotiation`, `competent-department` or `government`."""
    settled: datetime | None = None
    outcome: str | None = None


@dataclass(slots=True)
class DemandEntry:
    """A department's demand for fields of a resource."""

    demand: DemandId
    request: str
    demander: Department
    provider: Department | None
    registry: str
    record_type: RecordType
    resource: str | None
    fields: tuple[str, ...]
    masks: tuple[tuple[str, str], ...]
    scope: tuple[Condition, ...]
    complete: datetime | None
    """When it became complete; None while it is not."""
    use_from: datetime | None
    use_until: datetime | None
    freshness_seconds: int | None
    details: dict[str, Any]
    """Legal basis, scenario, use scope, mode: as submitted."""
    submitted: datetime
    missing: tuple[str, ...] = ()
    """What an incomplete demand lacks, all at once (Order 809, art. 21)."""
    matched: datetime | None = None
    """When a provider had it before it: at submission, or when a resource was published for it."""
    renews: DemandId | None = None
    """The demand whose use period it continues."""
    replaces: DemandId | None = None
    """The demand that is withdrawn when this one is served in full."""
    review: bool = False
    """Whether the competent department looks at it before the provider does."""
    reviewed: datetime | None = None
    """When that passed it on to the provider."""
    reply_days: int | None = None
    """Statutory working days of the reply; None in a ledger that does not tell, then the resource decides."""
    supplements: list[SupplementRequest] = field(default_factory=list)
    extension: Extension | None = None
    dispute: Dispute | None = None
    """The newest one."""
    refused: datetime | None = None
    refusal_reason: str | None = None
    refusal_basis: str | None = None
    """Of what is not shared: the law that says so."""
    withdrawn: datetime | None = None
    replied: datetime | None = None
    grants: list[GrantId] = field(default_factory=list)
    history: DemandHistory = field(default_factory=DemandHistory)


@dataclass(slots=True)
class LedgerState:
    """Everything after the events so far. Only `exchange.ledger.fold.apply` changes it."""

    seq: int = 0
    """Sequence number of the last event; the first event has 1."""
    head: str = "0" * 64
    """SHA-256 of the canonical JSON of the last event: the next event's prev_hash."""
    departments: dict[Department, DepartmentEntry] = field(default_factory=dict)
    resources: dict[str, ResourceEntry] = field(default_factory=dict)
    demands: dict[DemandId, DemandEntry] = field(default_factory=dict)
    awaiting: dict[DemandId, DemandEntry] = field(default_factory=dict)
    """The demands that nobody has consented to, refused or withdrawn."""
    prompt: dict[DemandId, DemandEntry] = field(default_factory=dict)
    """Those of them that have never been replied to and ask for nothing that has a condition."""
    alike: DemandIndex = field(default_factory=DemandIndex)
    """The demands by what they ask for."""
    renewals: dict[DemandId, tuple[DemandId, ...]] = field(default_factory=dict)
    """The demands that continue the use period of another one, by that one."""
    replacements: dict[DemandId, tuple[DemandId, ...]] = field(default_factory=dict)
    """The demands that are to take another one's place, by that one."""
    grants: dict[GrantId, GrantEntry] = field(default_factory=dict)
    running: dict[GrantId, GrantEntry] = field(default_factory=dict)
    """The grants that have not ended."""
    shares: dict[ShareName, ShareEntry] = field(default_factory=dict)
    tokens: dict[str, TokenEntry] = field(default_factory=dict)
    token_of_digest: dict[str, str] = field(default_factory=dict)
    """Id of the token issued last with each digest."""
    commands: IdempotencyKeys = field(default_factory=IdempotencyKeys)
    """What was done under each idempotency key, by (actor, key)."""
    written: WrittenToday = field(default_factory=WrittenToday)
    """How many events each actor has written on the last event's day."""
    settled: dict[Department, SettledRecords] = field(default_factory=dict)
    """Quarantined records that no longer wait, by the department whose quarantine they stand in."""
    corrections: dict[CorrectionId, CorrectionEntry] = field(default_factory=dict)
    next_schema_id: int = 100_000
    enforced: int = 0
    """Sequence number of the last event that may change what Kafka should hold."""
    leader_worker: str | None = None
    leader_url: str | None = None
    """Where the leader that announced itself last takes commands."""
    at: datetime | None = None
    """When the last event happened."""
    unread: int = 0
    """Events that this version of the code does not know, or that lack what it would need of them."""

"""What Kafka should look like: topics and rights as a pure function of the ledger's state.

Kafka denies by default, so every right is named here, with its reason. `admin` is a super user and needs none; nobody
but the reconciler uses it. Departments get literal names only: a prefix could reach what another grant made.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange import names
from exchange.broker.departments.succession import has_ended
from exchange.broker.grants.activate import has_begun
from exchange.kafka.admin.admin import Acl, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, partitions_of, topic_config
from exchange.ledger.snapshot.topic import PARTITIONS
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState, ShareEntry
from exchange.names import Department, RecordType, ShareName

_STATE_ADMISSION = "exchange.admission."
_STATE_DELIVERY = "exchange.delivery."
_CORRECTIONS = "correction."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Topics by name, and rights."""

    topics: Mapping[str, NewTopicSpec]
    acls: frozenset[Acl]


def ledger_topic() -> NewTopicSpec:
    """The ledger: one partition, kept for ever. It must be there before the first event."""
    return NewTopicSpec(names.LEDGER_TOPIC, 1, topic_config(TopicKind.LEDGER))


def snapshot_topic() -> NewTopicSpec:
    """Snapshots of the ledger's state: manifests in one partition, what they tell of in the other."""
    return NewTopicSpec(names.SNAPSHOT_TOPIC, PARTITIONS, topic_config(TopicKind.SNAPSHOT))


def share_spec(name: ShareName, record_type: RecordType, fixed: int | None) -> NewTopicSpec:
    """The topic of a share: as many partitions as its registry, so that order per key is kept."""
    return NewTopicSpec(names.share_topic(name), partitions_of(record_type, fixed), topic_config(TopicKind.SHARE))


def own_acls() -> frozenset[Acl]:
    """The rights of the exchange's own principals: what each line reads and writes, nothing more."""
    return frozenset((*_admission(), *_delivery(), *_broker()))


def wanted(state: LedgerState, now: datetime, fixed: int | None, held: Collection[ShareName] = ()) -> Wanted:
    """Everything that the ledger explains.

    now: nobody reads before its use period begins. fixed: partitions of every record type, or None for the counts of
    the product. held: shares that are deleted in the ledger but that the delivery line may still write: their topics
    stay a little longer.
    """
    topics = {spec.name: spec for spec in (ledger_topic(), snapshot_topic(), *_topics(state, fixed, held))}
    return Wanted(topics, frozenset((*own_acls(), *_department_acls(state, now), *_grant_acls(state, now))))


def readable(state: LedgerState, grant: GrantEntry, now: datetime) -> tuple[ShareName, ...]:
    """The shares that a grant may read now: when it is active, or has its share and is about to be.

    Around an amendment that is more than one.
    """
    if grant.ended is not None or grant.suspended or not has_begun(state, grant, now):
        return ()
    return grant.shares


def _topics(state: LedgerState, fixed: int | None, held: Collection[ShareName]) -> Iterator[NewTopicSpec]:
    for name in sorted({resource.record_type for resource in state.resources.values()}):
        count = partitions_of(name, fixed)
        yield NewTopicSpec(names.registry_topic(name), count, topic_config(TopicKind.REGISTRY))
        yield NewTopicSpec(names.redrive_topic(name), count, topic_config(TopicKind.REDRIVE))
        yield NewTopicSpec(names.admission_topic(name), count, topic_config(TopicKind.LINE_STATE))
        yield NewTopicSpec(names.delivery_topic(name), count, topic_config(TopicKind.LINE_STATE))
    for resource in state.resources.values():
        inbox = names.inbox_topic(resource.record_type, resource.provider)
        yield NewTopicSpec(inbox, partitions_of(resource.record_type, fixed), topic_config(TopicKind.INBOX))
        # Admission puts aside whatever stands in an inbox, also before its department is registered.
        yield NewTopicSpec(names.quarantine_topic(resource.provider), 1, topic_config(TopicKind.QUARANTINE))
        yield _corrections(resource.provider)
    for department in _registered(state):
        yield NewTopicSpec(names.quarantine_topic(department), 1, topic_config(TopicKind.QUARANTINE))
        yield NewTopicSpec(names.faults_topic(department), 1, topic_config(TopicKind.FAULTS))
        yield NewTopicSpec(names.report_topic(department), 1, topic_config(TopicKind.REPORT))
        yield _corrections(department)
    for share in state.shares.values():
        if not share.deleted or share.share in held:
            yield share_spec(share.share, share.terms.record_type, fixed)
    for grant in state.grants.values():
        if grant.share is not None:
            yield NewTopicSpec(names.receipt_topic(grant.grant), 1, topic_config(TopicKind.RECEIPT))


def _corrections(department: Department) -> NewTopicSpec:
    """Also a successor of the provider gets them, so every department has the topic."""
    return NewTopicSpec(names.correction_topic(department), 1, topic_config(TopicKind.CORRECTION))


def _department_acls(state: LedgerState, now: datetime) -> Iterator[Acl]:
    registered = {department for department in _registered(state) if not has_ended(state, department, now)}
    for department in registered:
        yield Acl(department, "topic", names.quarantine_topic(department), "read")
        yield Acl(department, "topic", names.correction_topic(department), "read")
        yield Acl(department, "topic", names.faults_topic(department), "read")
        yield Acl(department, "topic", names.faults_topic(department), "write")
        yield Acl(department, "topic", names.report_topic(department), "write")
        yield Acl(department, "group", names.tail_group(department), "describe")
    for resource in state.resources.values():
        if not resource.withdrawn and resource.provider in registered:
            inbox = names.inbox_topic(resource.record_type, resource.provider)
            yield Acl(resource.provider, "topic", inbox, "write")


def _grant_acls(state: LedgerState, now: datetime) -> Iterator[Acl]:
    for grant in state.running.values():
        shares = readable(state, grant, now)
        demander = state.demands[grant.demand].demander
        if not shares or not state.departments[demander].registered or has_ended(state, demander, now):
            continue
        for share in shares:
            yield Acl(demander, "topic", names.share_topic(share), "read")
        yield Acl(demander, "group", names.grant_group(grant.grant), "read")
        yield Acl(demander, "topic", names.receipt_topic(grant.grant), "write")


def _registered(state: LedgerState) -> Iterator[Department]:
    return (entry.department for entry in state.departments.values() if entry.registered)


def unused(state: LedgerState) -> list[ShareEntry]:
    """Shares that no grant may ever read again: every grant that read them has ended, or reads another one."""
    read = {share for grant in state.running.values() for share in grant.shares}
    # A share that never had a grant is one whose assignment was lost in a crash; the next pass gives it out or ends it.
    return [share for share in state.shares.values() if not share.deleted and share.share not in read]


def _follower(principal: str) -> Iterable[Acl]:
    yield Acl(principal, "topic", names.LEDGER_TOPIC, "read")
    yield Acl(principal, "topic", names.SNAPSHOT_TOPIC, "read")
    yield Acl(principal, "group", names.tail_group(principal), "describe")


def _line(principal: str, group: str, state_prefix: str) -> Iterable[Acl]:
    """What both inner lines need: the ledger, their group, their state, transactions, and quarantine."""
    yield from _follower(principal)
    yield Acl(principal, "group", group, "read")
    yield Acl(principal, "topic", state_prefix, "read", prefixed=True)
    yield Acl(principal, "topic", state_prefix, "write", prefixed=True)
    yield Acl(principal, "transactional_id", state_prefix, "write", prefixed=True)
    yield Acl(principal, "transactional_id", state_prefix, "describe", prefixed=True)
    yield Acl(principal, "topic", "quarantine.", "write", prefixed=True)


def _admission() -> Iterable[Acl]:
    yield from _line(names.ADMISSION, names.ADMISSION_GROUP, _STATE_ADMISSION)
    yield Acl(names.ADMISSION, "topic", "inbox.", "read", prefixed=True)
    yield Acl(names.ADMISSION, "topic", "exchange.redrive.", "read", prefixed=True)
    yield Acl(names.ADMISSION, "topic", "registry.", "read", prefixed=True)
    yield Acl(names.ADMISSION, "topic", "registry.", "write", prefixed=True)


def _delivery() -> Iterable[Acl]:
    yield from _line(names.DELIVERY, names.DELIVERY_GROUP, _STATE_DELIVERY)
    yield Acl(names.DELIVERY, "topic", "registry.", "read", prefixed=True)
    yield Acl(names.DELIVERY, "topic", "share.", "write", prefixed=True)


def _broker() -> Iterable[Acl]:
    """The ledger's writer, the watcher, and the keeper of quarantine and corrections: it alone redrives.

    It sees offsets everywhere, records only of line state, receipts, reports, quarantine, corrections, shares and
    registries. A share is read one record at a time, for its timestamp alone: whether records or only transaction
    markers stand between a grantee's offset and the end can be told in no other way. A registry is read for keys alone,
    from the moment of a correction on: whether the corrected version has come; and where delivery is behind, one record
    for its timestamp alone.
    """
    yield from _follower(names.BROKER)
    yield Acl(names.BROKER, "topic", names.LEDGER_TOPIC, "write")
    yield Acl(names.BROKER, "topic", names.SNAPSHOT_TOPIC, "write")
    yield Acl(names.BROKER, "group", names.BROKER_GROUP, "read")
    yield Acl(names.BROKER, "transactional_id", names.BROKER_TRANSACTIONAL_ID, "write")
    yield Acl(names.BROKER, "transactional_id", names.BROKER_TRANSACTIONAL_ID, "describe")
    for prefix in ("exchange.redrive.", _CORRECTIONS):
        yield Acl(names.BROKER, "topic", prefix, "write", prefixed=True)
    for prefix in (_STATE_ADMISSION, _STATE_DELIVERY, "receipt.", "report."):
        yield Acl(names.BROKER, "topic", prefix, "read", prefixed=True)
    for prefix in ("share.", "quarantine.", _CORRECTIONS, "registry."):
        yield Acl(names.BROKER, "topic", prefix, "read", prefixed=True)
    yield Acl(names.BROKER, "topic", "inbox.", "describe", prefixed=True)
    yield Acl(names.BROKER, "group", "grant.", "describe", prefixed=True)
    yield Acl(names.BROKER, "group", names.ADMISSION_GROUP, "describe")
    yield Acl(names.BROKER, "group", names.DELIVERY_GROUP, "describe")

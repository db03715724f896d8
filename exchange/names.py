"""Names as types: record types, departments, shares, topics, groups, principals. One place spells each of them."""

import re
from typing import NewType

from exchange.errors import ExchangeError

RecordType = NewType("RecordType", str)
"""`<registry>.<type>` in kebab case: `legal-entity.registration`."""
Department = NewType("Department", str)
"""The catalogue slug of a department, which is its Kafka principal: `market-regulation`."""
ShareName = NewType("ShareName", str)
"""The name of a share, unique for ever."""
GrantId = NewType("GrantId", str)
DemandId = NewType("DemandId", str)
CorrectionId = NewType("CorrectionId", str)
TopicName = NewType("TopicName", str)
SchemaId = NewType("SchemaId", int)
"""The 4-byte id of the Confluent framing: below 100,000 from `ids.lock`, from there on from the ledger."""

REGISTRIES = ("population", "legal-entity", "e-licence", "credit", "natural-resources", "macro-economy")
LEDGER_TOPIC = TopicName("exchange.ledger")
SNAPSHOT_TOPIC = TopicName("exchange.ledger.snapshot")
FIRST_LEDGER_SCHEMA_ID = SchemaId(100_000)
HEARTBEAT_KEY = b"~"
"""The reserved key of a heartbeat (value null). Every reader skips it."""

ADMIN = "admin"
ADMISSION = "exchange-admission"
DELIVERY = "exchange-delivery"
BROKER = "exchange-broker"
ADMISSION_GROUP = "exchange.admission"
DELIVERY_GROUP = "exchange.delivery"
BROKER_GROUP = "exchange.broker"
BROKER_TRANSACTIONAL_ID = "exchange.broker"

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TYPE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_SLUG = 64


def record_type(text: str) -> RecordType:
    """`text` as a record type. Raises ExchangeError(E_NAME_INVALID) when its form or its registry is wrong."""
    if not _TYPE.fullmatch(text) or registry_of(RecordType(text)) not in REGISTRIES:
        raise ExchangeError("E_NAME_INVALID", "a record type is <registry>.<type> in kebab case, of a known registry")
    return RecordType(text)


def department(text: str) -> Department:
    """`text` as a department slug. Raises ExchangeError(E_NAME_INVALID) for a wrong form or a reserved principal."""
    if not _SLUG.fullmatch(text) or len(text) > _MAX_SLUG:
        raise ExchangeError("E_NAME_INVALID", "a department is named in kebab case, at most 64 characters")
    if text == ADMIN or text.startswith("exchange"):
        raise ExchangeError("E_NAME_INVALID", "this name is reserved for the exchange itself")
    return Department(text)


def registry_of(name: RecordType) -> str:
    """The base registry of a record type (`legal-entity`)."""
    return name.partition(".")[0]


def inbox_topic(name: RecordType, provider: Department) -> TopicName:
    """Where `provider` publishes records of this type."""
    return TopicName(f"inbox.{name}.{provider}")


def split_inbox(topic: str) -> tuple[RecordType, Department]:
    """The record type and the provider of an inbox topic. Raises ValueError for another topic."""
    kind, registry, type_, provider = topic.split(".")
    if kind != "inbox":
        raise ValueError("not an inbox")
    return RecordType(f"{registry}.{type_}"), Department(provider)


def redrive_topic(name: RecordType) -> TopicName:
    """Where the exchange puts quarantined bytes that shall pass admission again."""
    return TopicName(f"exchange.redrive.{name}")


def registry_topic(name: RecordType) -> TopicName:
    """The registry of a record type: only records that passed every check."""
    return TopicName(f"registry.{name}")


def admission_topic(name: RecordType) -> TopicName:
    """The state of the admission line for a record type."""
    return TopicName(f"exchange.admission.{name}")


def delivery_topic(name: RecordType) -> TopicName:
    """The state of the delivery line for a record type."""
    return TopicName(f"exchange.delivery.{name}")


def share_topic(share: ShareName) -> TopicName:
    """What the grantees of a share read."""
    return TopicName(f"share.{share}")


def quarantine_topic(provider: Department) -> TopicName:
    """Where records of a provider wait that the exchange could not pass on."""
    return TopicName(f"quarantine.{provider}")


def faults_topic(owner: Department) -> TopicName:
    """A department's own log of rows its connectors could not map or apply."""
    return TopicName(f"faults.{owner}")


def correction_topic(provider: Department) -> TopicName:
    """Which records of a provider others doubt, and what it answers: keys and words, which the ledger never holds."""
    return TopicName(f"correction.{provider}")


def receipt_topic(grant: GrantId) -> TopicName:
    """What our sinks report for a grant: counts and offsets, no payload."""
    return TopicName(f"receipt.{grant}")


def report_topic(owner: Department) -> TopicName:
    """What a department's connectors report of themselves: counts and moments, no payload."""
    return TopicName(f"report.{owner}")


def grant_group(grant: GrantId) -> str:
    """The consumer group of a grant."""
    return f"grant.{grant}"


def tail_group(principal: str) -> str:
    """The group name a reader without group work must still state. Nothing is ever committed under it."""
    return f"{principal}.no-group"


def transactional_id(line: str, name: RecordType, partition: int) -> str:
    """The transactional id of one unit of a line (`admission`, `delivery`)."""
    return f"exchange.{line}.{name}.{partition}"


def mask_name(text: str) -> str:
    """A name fit for logs when it comes from outside: only its length is told."""
    return f"<{len(text)} characters>"

"""The catalogue as an AsyncAPI 3.1 document: what departments may send to the exchange, and what they may receive.

The document speaks for the exchange: it *receives* on inboxes and *sends* on shares. Payloads are the Avro schemas, as
the lock file has them; a share's payload shows every field that could be granted, a grant's own schema has some of
them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from exchange import names, record
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.avro.subset import subset_schema
from exchange.catalogue import words
from exchange.catalogue.model import Catalogue, ResourceSpec
from exchange.errors import ExchangeError
from exchange.kafka.admin.topics import TopicKind, partitions_of, topic_config
from exchange.names import RecordType, ShareName

VERSION: Final = "3.1.0"
"""Of the specification."""
_BINDING: Final = "0.5.0"
_AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
_CONTENT_TYPE: Final = record.AVRO.decode()
_TOLD: Final = ("cleanup.policy", "retention.ms", "delete.retention.ms", "max.message.bytes")
"""What of a topic's configuration its readers and writers have to know."""
_SHARE: Final = names.share_topic(ShareName("{share}"))
_SECURED: Final = "SASL_SSL"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the exchange stands."""

    brokers: str
    """`host:port` of the Kafka brokers, comma-separated."""
    security_protocol: str
    api: str
    """The address of the broker service, which answers as a schema registry."""
    partitions: int | None
    """Of every record type; None for the counts of the product."""


def asyncapi(catalogue: Catalogue, schemas: SchemaRepository, place: Place) -> Json:
    """The document. Raises ExchangeError(E_SCHEMA) when a record type of a resource is not locked."""
    offers = [one for one in catalogue.resources.values() if one.shareable]
    types = {one.record_type: _locked(schemas, one.record_type) for one in offers}
    servers = _servers(place)
    return {
        "asyncapi": VERSION,
        "id": "urn:exchange:catalogue",
        "info": _info(types),
        "defaultContentType": _CONTENT_TYPE,
        "servers": servers,
        "channels": _channels(catalogue, offers, place, [{"$ref": f"#/servers/{name}"} for name in servers]),
        "operations": _operations(offers),
        "components": {
            "messages": {**_submitted(types), **_delivered(types, offers)},
            "schemas": {"submitted-headers": _headers(_SUBMITTED), "delivered-headers": _headers(_DELIVERED)},
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "A department's slug and the secret that was shown to it once",
                }
            },
        },
    }


def _id(name: str) -> str:
    """A name as an id inside the document, where a dot is not allowed everywhere."""
    return name.replace(".", "_")


def _locked(schemas: SchemaRepository, record_type: RecordType) -> tuple[LockedSchema, RecordSchema]:
    if record_type not in schemas.record_types():
        raise ExchangeError("E_SCHEMA", f"{record_type} is not in the lock file")
    found = schemas.latest(record_type)
    assert found.record is not None, "a record type has the rules of one"
    return found, found.record


def _info(types: Iterable[RecordType]) -> Json:
    registries = dict.fromkeys(names.registry_of(one) for one in types)
    return {
        "title": "Exchange bus: what departments send and receive",
        "version": version("exchange-bus"),
        "description": (
            "Values are Avro in Confluent framing: 0x00, the 4-byte schema id, the body; null withdraws a record. "
            f"The key `{names.HEARTBEAT_KEY.decode()}` is a heartbeat, which every reader skips. Readers use "
            "isolation.level=read_committed, writers the partitioner murmur2_random."
        ),
        "license": {"name": "Apache-2.0"},
        "tags": [
            {"name": one, "description": f"{words.REGISTRIES[one].en} · {words.REGISTRIES[one].zh}"}
            for one in registries
        ],
    }


def _servers(place: Place) -> Json:
    protocol = "kafka-secure" if place.security_protocol == _SECURED else "kafka"
    registry = {"schemaRegistryUrl": place.api, "schemaRegistryVendor": "confluent", "bindingVersion": _BINDING}
    return {
        f"broker-{number}": {
            "host": host.strip(),
            "protocol": protocol,
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
            "bindings": {"kafka": registry},
        }
        for number, host in enumerate(place.brokers.split(","), start=1)
    }


def _channels(catalogue: Catalogue, offers: list[ResourceSpec], place: Place, servers: list[Json]) -> Json:
    channels: Json = {}
    for one in offers:
        topic = names.inbox_topic(one.record_type, one.provider)
        provider = catalogue.department(one.provider)
        channels[_id(topic)] = {
            "address": topic,
            "title": f"{one.name_en} · {one.name}",
            "description": f"Written by {provider.name_en} ({one.provider}) alone. {one.abstract}".strip(),
            "servers": servers,
            "tags": [{"name": names.registry_of(one.record_type)}],
            "messages": {_id(one.record_type): {"$ref": f"#/components/messages/submitted_{_id(one.record_type)}"}},
            "bindings": {"kafka": _topic(TopicKind.INBOX, partitions_of(one.record_type, place.partitions))},
            "x-resource": _resource(one),
        }
    types = dict.fromkeys(one.record_type for one in offers)
    channels["share"] = {
        "address": _SHARE,
        "title": "What a grant lets a department receive · 授权共享的数据",
        "description": (
            "Holds the granted fields of the granted records, nothing else. Its name, its group and its schema id are "
            "in the grant; it has as many partitions as the inboxes of its record type."
        ),
        "servers": servers,
        "parameters": {"share": {"description": "The name of the share, from `exchange grant show`"}},
        "messages": {_id(name): {"$ref": f"#/components/messages/delivered_{_id(name)}"} for name in types},
        "bindings": {"kafka": _topic(TopicKind.SHARE)},
    }
    return channels


def _topic(kind: TopicKind, partitions: int | None = None) -> Json:
    told = {name: value for name, value in topic_config(kind).items() if name in _TOLD}
    configuration = {name: value.split(",") if name == "cleanup.policy" else int(value) for name, value in told.items()}
    count = {} if partitions is None else {"partitions": partitions}
    return {**count, "topicConfiguration": configuration, "bindingVersion": _BINDING}


def _resource(one: ResourceSpec) -> Json:
    conditions = {name: found.model_dump() for name in one.fields if (found := one.condition(name)) is not None}
    return {
        "code": one.code,
        "sharing": one.sharing.value,
        "fields": {name: sharing.value for name, sharing in one.fields.items()},
        "conditions": conditions,
        "updateCycle": one.update_cycle.value,
        "legalBasis": one.legal_basis,
    }


def _operations(offers: list[ResourceSpec]) -> Json:
    operations: Json = {}
    for one in offers:
        topic = _id(names.inbox_topic(one.record_type, one.provider))
        operations[f"submit_{_id(one.record_type)}_{one.provider}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{topic}"},
            "summary": f"{one.provider} submits {one.record_type}",
            "messages": [{"$ref": f"#/channels/{topic}/messages/{_id(one.record_type)}"}],
            "bindings": {"kafka": _group(names.ADMISSION_GROUP)},
        }
    for name in dict.fromkeys(one.record_type for one in offers):
        operations[f"deliver_{_id(name)}"] = {
            "action": "send",
            "channel": {"$ref": "#/channels/share"},
            "summary": f"The exchange delivers {name} to the grantees of a share",
            "messages": [{"$ref": f"#/channels/share/messages/{_id(name)}"}],
        }
    return operations


def _group(name: str) -> Json:
    return {"groupId": {"type": "string", "enum": [name]}, "bindingVersion": _BINDING}


def _submitted(types: Mapping[RecordType, tuple[LockedSchema, RecordSchema]]) -> Json:
    return {
        f"submitted_{_id(name)}": {
            **_message(name, locked.schema, "submitted", "/".join(rules.natural_key)),
            "x-schema-id": locked.id,
        }
        for name, (locked, rules) in types.items()
    }


def _delivered(types: Mapping[RecordType, tuple[LockedSchema, RecordSchema]], offers: list[ResourceSpec]) -> Json:
    messages: Json = {}
    for name, (locked, rules) in types.items():
        shareable = {field for one in offers if one.record_type == name for field in one.shareable}
        schema = subset_schema(locked.schema, sorted(shareable), {}, locked.schema["name"])
        key = f"{'/'.join(rules.natural_key)}, or its pseudonym"
        messages[f"delivered_{_id(name)}"] = _message(name, schema, "delivered", key)
    return messages


def _message(name: RecordType, schema: Json, way: str, key: str) -> Json:
    return {
        "name": name,
        "title": f"{schema['doc']} · {schema.get('meaningZh', '')}",
        "contentType": _CONTENT_TYPE,
        "headers": {"$ref": f"#/components/schemas/{way}-headers"},
        "payload": {"schemaFormat": _AVRO, "schema": schema},
        "tags": [{"name": names.registry_of(name)}],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{key}; parts are percent-encoded and joined with /"},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": _BINDING,
            }
        },
    }


_SUBMITTED: Final[Mapping[str, str]] = {
    record.SPECVERSION: "1.0",
    record.ID: "The same for the same version of a row",
    record.SOURCE: "Not taken over: the source of a record is its inbox",
    record.TYPE: "The record type",
    record.TIME: "When the version came about (RFC 3339)",
    record.SEQUENCE: "Decimal digits, growing for each key: orders the versions of a record",
    record.CONTENT_TYPE: _CONTENT_TYPE,
}
_DELIVERED: Final[Mapping[str, str]] = {
    **_SUBMITTED,
    record.SOURCE: "/departments/<provider>, set by admission",
    record.ID: "A hash of key and sequence; in pseudonymous shares a keyed one",
    record.TIME: "When the version came about (RFC 3339); in pseudonymous shares the beginning of that day in China",
    record.SEQUENCE: "Decimal digits, growing for each key: orders the versions of a record; pseudonymous shares count"
    " their own records in each partition",
}


def _headers(meanings: Mapping[str, str]) -> Json:
    properties = {name: {"type": "string", "description": meaning} for name, meaning in meanings.items()}
    return {"type": "object", "description": "CloudEvents 1.0, Kafka binary mode", "properties": properties}

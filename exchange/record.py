"""What travels: the Confluent framing of a value and the CloudEvents headers of a record."""

import struct
from binascii import hexlify
from hashlib import blake2b
from typing import Final

from exchange.names import Department, SchemaId

MAGIC: Final = 0
FRAME_BYTES: Final = 5
MAX_VALUE_BYTES: Final = 262_144
"""The largest value admission takes, in bytes (the inbox's `max.message.bytes`)."""

SPECVERSION: Final = "ce_specversion"
ID: Final = "ce_id"
SOURCE: Final = "ce_source"
TYPE: Final = "ce_type"
TIME: Final = "ce_time"
CONTENT_TYPE: Final = "content-type"
SEQUENCE: Final = "ce_sequence"
AVRO: Final = b"application/avro"
CLOUDEVENTS_VERSION: Final = b"1.0"

QUARANTINE_STAGE: Final = "x-exchange-stage"
QUARANTINE_CODE: Final = "x-exchange-code"
QUARANTINE_REASON: Final = "x-exchange-reason"
QUARANTINE_ORIGIN: Final = "x-exchange-origin"
QUARANTINE_REDRIVEN: Final = "x-exchange-redriven"
"""Of a record that was redriven: its place in quarantine before (`department/partition/offset`)."""

Headers = list[tuple[str, bytes]]
"""Headers as confluent-kafka takes and gives them."""

_FRAME = struct.Struct(">bI")
_ID_BYTES = 16


def frame(schema_id: SchemaId) -> bytes:
    """The five bytes before an Avro body: 0x00 and the schema id, big-endian."""
    return _FRAME.pack(MAGIC, schema_id)


def unframe(value: bytes) -> SchemaId | None:
    """The schema id a value is framed with, or None when it is not framed."""
    if len(value) < FRAME_BYTES or value[0] != MAGIC:
        return None
    return SchemaId(int.from_bytes(value[1:5], "big"))


def identity_of(key: bytes, sequence: bytes) -> bytes:
    """`ce_id` of a version: does not show the key. Shares that hide keys hash it again, with a secret."""
    return hexlify(blake2b(key + b"\0" + sequence, digest_size=_ID_BYTES).digest())


def source_of(provider: Department) -> bytes:
    """The `ce_source` of a provider's records in registries and shares."""
    return b"/departments/" + provider.encode()


def header(headers: Headers | None, name: str) -> bytes | None:
    """The first header called `name`, or None."""
    for found, value in headers or ():
        if found == name:
            return value
    return None

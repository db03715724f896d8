"""One quarantined record: what the exchange says of it, and the untouched record, which never shows in a repr."""

from dataclasses import dataclass, field

from exchange import record
from exchange.errors import TABLE
from exchange.kafka.client.message import Message
from exchange.names import RecordType
from exchange.quarantine.quarantine_id import Origin, QuarantineId, origin
from exchange.quarantine.redriven import own_headers
from exchange.record import Headers


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record of `quarantine.<department>`."""

    id: QuarantineId
    at_ms: int
    """When it was put aside: milliseconds since 1970, by Kafka's clock."""
    stage: str
    code: str
    """Empty when the exchange did not write this record."""
    reason: str
    origin: Origin | None
    """Where in an inbox it first came; None when it came elsewhere."""
    redriven_from: str | None
    """Its place in quarantine before it was redriven and failed again."""
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    """Those of the publisher, as quarantine keeps them."""

    @property
    def record_type(self) -> RecordType | None:
        """The record type of its inbox."""
        return None if self.origin is None else self.origin.record_type

    @property
    def advice(self) -> str | None:
        """What to do next, by the table of errors."""
        known = TABLE.get(self.code)
        return None if known is None else known.advice

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name) + len(content or b"") for name, content in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def quarantined(place: QuarantineId, message: Message) -> Quarantined:
    """The entry that stands at `place`."""
    headers = message.headers()
    return Quarantined(
        id=place,
        at_ms=message.timestamp()[1],
        stage=_text(headers, record.QUARANTINE_STAGE),
        code=_text(headers, record.QUARANTINE_CODE),
        reason=_text(headers, record.QUARANTINE_REASON),
        origin=origin(record.header(headers, record.QUARANTINE_ORIGIN)),
        redriven_from=_text(headers, record.QUARANTINE_REDRIVEN) or None,
        key=message.key(),
        value=message.value(),
        headers=own_headers(headers),
    )


def _text(headers: Headers | None, name: str) -> str:
    return (record.header(headers, name) or b"").decode("utf-8", "replace")

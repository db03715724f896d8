"""Where a record stands: its place in quarantine, which is its identity, and the inbox place that it came from."""

import re
from typing import NamedTuple

from exchange import names
from exchange.errors import ExchangeError
from exchange.names import Department, RecordType

_FORM = re.compile(r"([a-z0-9-]{1,64})/([0-9]{1,9})/([0-9]{1,18})")


class QuarantineId(NamedTuple):
    """The identity of a quarantined record: `<department>/<partition>/<offset>`. Sorts in the order of quarantine."""

    department: Department
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.department}/{self.partition}/{self.offset}"

    @property
    def topic(self) -> names.TopicName:
        """The topic it stands in."""
        return names.quarantine_topic(self.department)


def quarantine_id(text: str) -> QuarantineId:
    """The identity that `text` spells. Raises ExchangeError(E_REQUEST)."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ExchangeError("E_REQUEST", "a quarantined record is named <department>/<partition>/<offset>")
    department, partition, offset = found.groups()
    return QuarantineId(Department(department), int(partition), int(offset))


class Origin(NamedTuple):
    """The place in an inbox where a department put a record."""

    record_type: RecordType
    provider: Department
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def topic(self) -> names.TopicName:
        """The inbox."""
        return names.inbox_topic(self.record_type, self.provider)


def origin(header: bytes | None) -> Origin | None:
    """The origin that a header of the exchange tells; None when it is no place in an inbox."""
    try:
        topic, partition, offset = (header or b"").decode("ascii").rsplit("/", 2)
        record_type, provider = names.split_inbox(topic)
        return Origin(record_type, provider, int(partition), int(offset))
    except ValueError:
        return None

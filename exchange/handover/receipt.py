"""Receipts: what a sink reports of itself in `receipt.<grant>`. Counts and offsets, nothing of the records.

Key: the partition of the share in decimal digits. Value, JSON in UTF-8, all counts since the grant began:

    {"partition": 0, "next_offset": 812, "upserted": 790, "deleted": 12, "faulty": 0, "set_aside": 0,
     "at": "2026-11-24T08:00:00.000Z"}

`next_offset` is the first offset not yet applied. The counts are kept in the sink's database, in the transaction that
applies the records, so that neither a crash nor a replay counts twice.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from exchange.clock import format_time, parse_time

_COUNTS = ("partition", "next_offset", "upserted", "deleted", "faulty")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state of one partition of a share at its sink."""

    partition: int
    next_offset: int
    upserted: int
    deleted: int
    faulty: int
    at: datetime
    set_aside: int = 0
    """Records of the partition that wait in the sink's database now, because its table refuses them."""

    @property
    def handed_over(self) -> int:
        """Records applied."""
        return self.upserted + self.deleted


def encode(receipt: Receipt) -> tuple[bytes, bytes]:
    """Key and value of a receipt."""
    value = {**asdict(receipt), "at": format_time(receipt.at)}
    return str(receipt.partition).encode(), json.dumps(value, separators=(",", ":")).encode()


def decode(value: bytes) -> Receipt | None:
    """The receipt in a value, or None when it is none: the topic is written by a department."""
    try:
        fields = json.loads(value)
        at = parse_time(fields["at"])
        counts = {name: fields[name] for name in _COUNTS}
        counts["set_aside"] = fields.get("set_aside", 0)  # a sink of before does not say it
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        return None
    return Receipt(**counts, at=at)

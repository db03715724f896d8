"""What a delivery in files consists of: the manifest, as both sides read it, and the grantee's receipt for it.

The manifest is JSON in UTF-8; its signature and every hash of it are over the bytes of the file as they are. `series`
and `number` together name a delivery for ever: a sink that finds an emptied folder begins a new series.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exchange.errors import ExchangeError
from exchange.handover.files.folder import DATA, LAST_NUMBER, name_of

FORM: Final = "exchange-files/1"
MOST_BYTES = 1 << 20
"""No manifest is longer; a longer one is none of ours."""
RECEIPT_BYTES = 4096

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Number = Annotated[int, Field(ge=1, le=LAST_NUMBER)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Totals(_Part):
    """Records of one partition that the grantee has taken with this delivery, since the grant began."""

    upserted: Count = 0
    deleted: Count = 0
    faulty: Count = 0
    counted_to: Count = 0
    """Offsets before it are counted, in whatever reading of the share."""


class Range(_Part):
    """A stretch of one partition of the share: every record in it is part of the delivery."""

    partition: Count
    start: Count
    end: Count
    """The offset behind the last one."""
    before: Totals = Totals()
    """As it was without the delivery."""
    totals: Totals = Totals()

    @model_validator(mode="after")
    def _forward(self) -> "Range":
        if self.end < self.start:
            raise ValueError("it ends before it begins")
        return self


class Records(_Part):
    """Counts. taken = written + withdrawn + replaced + faulty."""

    taken: Count
    written: Count
    """Rows of the CSV file and records of the Avro file: the last version of each record."""
    withdrawn: Count
    """Keys that the share holds no longer."""
    replaced: Count
    """Versions that a later one in the same delivery replaced."""
    faulty: Count
    """Records that could not be decoded: they are reported in the department's faults."""

    @model_validator(mode="after")
    def _closed(self) -> "Records":
        if self.taken != self.written + self.withdrawn + self.replaced + self.faulty:
            raise ValueError("the sum does not close")
        return self


class FileEntry(_Part):
    """One file of the delivery."""

    name: Text
    media_type: Text
    records: Count
    bytes: Count
    sha256: Sha256
    escaped: Count = 0
    """Cells that got an apostrophe, so that no spreadsheet takes them for a formula."""


class Manifest(_Part):
    """One delivery."""

    form: Literal["exchange-files/1"] = FORM
    series: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    number: Number
    before: Sha256 | None
    """SHA-256 of the manifest before; null in the first of a series."""
    void: Number | None = None
    """A delivery of which this one takes the place, because it was not taken in time: its files are gone."""
    created: Text
    department: Text
    record_type: Text
    grant: Text
    topic: Text
    """The share's."""
    schema_id: Count
    key: list[Text]
    """The columns that identify a record."""
    reading: Annotated[int, Field(ge=1)]
    """How often the share was begun from its start. In a new reading every record comes once more."""
    current: bool
    """Whether nothing was left in the share. Of a reading but the first: what it has not brought up to here is gone."""
    records: Records
    ranges: list[Range]
    files: list[FileEntry]
    key_sha256: Sha256
    """Fingerprint of the key that signed."""

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if [one.name for one in self.files] != [name_of(self.number, what) for what in DATA]:
            raise ValueError("the files have other names")
        if len({one.partition for one in self.ranges}) != len(self.ranges):
            raise ValueError("a partition is there twice")
        if (self.before is None) != (self.number == 1):
            raise ValueError("the first delivery alone has none before it")
        return self

    def encode(self) -> bytes:
        """The content of its file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    def starts(self) -> Mapping[int, int]:
        """Where each partition began."""
        return {one.partition: one.start for one in self.ranges}

    def ends(self) -> Mapping[int, int]:
        """Where each partition goes on."""
        return {one.partition: one.end for one in self.ranges}


class ReceiptFile(_Part):
    """The grantee's word that it has taken a delivery."""

    manifest: Sha256
    taken_at: Text = ""

    def encode(self) -> bytes:
        """The content of its file."""
        return self.model_dump_json().encode() + b"\n"


def read_manifest(content: bytes) -> Manifest:
    """The manifest in a file. Raises ExchangeError(E_FILES_REFUSED) for what is none."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in one["loc"]) or "manifest" for one in error.errors()})
        raise ExchangeError("E_FILES_REFUSED", f"no manifest: {', '.join(places)[:200]}") from None


def is_receipt(content: bytes | None, manifest: bytes) -> bool:
    """Whether `content` is a receipt for exactly this manifest."""
    try:
        return content is not None and ReceiptFile.model_validate_json(content).manifest == sha256_of(manifest)
    except ValidationError:
        return False


def sha256_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()

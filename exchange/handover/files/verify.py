"""What a grantee checks before it uses a delivery: signature, hashes, counts, and that nothing is missing before it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from exchange.avro.container import read_container
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.handover.files.csv_text import read_rows
from exchange.handover.files.folder import AVRO, DATA, MANIFEST, RECEIPT, SIGNATURE, DropFolder, name_of
from exchange.handover.files.manifest import (
    MOST_BYTES,
    RECEIPT_BYTES,
    FileEntry,
    Manifest,
    ReceiptFile,
    is_receipt,
    read_manifest,
    sha256_of,
)
from exchange.signing import SIGNATURE_BYTES, PublicKey


class State(StrEnum):
    """Where a delivery is."""

    WAITING = "waiting"
    """All of it is there and right; it has no receipt yet."""
    TAKEN = "taken"
    VOID = "void"
    """A later delivery has taken its place."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was checked."""

    manifest: Manifest
    state: State


@dataclass(slots=True)
class Finding:
    """What a check came to. `faults`: (name of a file, what is wrong); when there is any, nothing is to be used."""

    deliveries: list[Delivery] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)

    @property
    def waiting(self) -> Manifest | None:
        """The delivery to take."""
        return next((one.manifest for one in self.deliveries if one.state is State.WAITING), None)


def verify(folder: DropFolder, key: PublicKey) -> Finding:
    """Check every delivery of a folder. Raises ExchangeError(E_FILES_UNREACHABLE) when it cannot be read."""
    finding = Finding()
    numbers = folder.numbers(MANIFEST)
    for name in _strangers(folder, numbers):
        finding.faults.append((name, "belongs to no delivery"))
    signed: list[tuple[Manifest, bytes]] = []
    for number in range(1, max(numbers, default=0) + 1):
        try:
            signed.append(_signed(folder, number, key))
        except ExchangeError as error:
            finding.faults.append((name_of(number, MANIFEST), error.detail))
            return finding
    finding.faults += _chain_faults(signed)
    void = {manifest.void for manifest, _ in signed}
    for manifest, content in signed:
        last = manifest.number == len(signed)
        state, faults = _checked(folder, manifest, content, manifest.number in void, last)
        finding.deliveries.append(Delivery(manifest, state))
        finding.faults += faults
    return finding


def accept(folder: DropFolder, finding: Finding, now: datetime) -> Manifest | None:
    """Write the receipt for the delivery that waits; None when there is none.

    Raises ExchangeError(E_FILES_REFUSED) when anything is wrong.
    """
    if finding.faults:
        raise ExchangeError("E_FILES_REFUSED", "; ".join(f"{name}: {what}" for name, what in finding.faults[:3]))
    manifest = finding.waiting
    if manifest is not None:
        content = folder.read(name_of(manifest.number, MANIFEST), MOST_BYTES)
        if content is None or read_manifest(content) != manifest:
            raise ExchangeError("E_FILES_REFUSED", "the manifest has changed since it was checked")
        receipt = ReceiptFile(manifest=sha256_of(content), taken_at=format_time(now)).encode()
        folder.put(name_of(manifest.number, RECEIPT), receipt)
    return manifest


def _strangers(folder: DropFolder, numbers: list[int]) -> Iterator[str]:
    """Names that no delivery explains. Of the number behind the last one, files are in the making."""
    last = max(numbers, default=0)
    yield from folder.strange()
    for what in (*DATA, SIGNATURE, RECEIPT):
        for number in folder.numbers(what):
            if number == 0 or number > last + 1 or (number > last and what == RECEIPT):
                yield name_of(number, what)


def _signed(folder: DropFolder, number: int, key: PublicKey) -> tuple[Manifest, bytes]:
    content = folder.read(name_of(number, MANIFEST), MOST_BYTES)
    if content is None:
        raise ExchangeError("E_FILES_REFUSED", "is missing, no plain file, or too large")
    signature = folder.read(name_of(number, SIGNATURE), SIGNATURE_BYTES)
    if signature is None or not key.signed(content, signature):
        raise ExchangeError("E_FILES_REFUSED", "is not signed by this key")
    manifest = read_manifest(content)
    if manifest.number != number or manifest.key_sha256 != key.fingerprint:
        raise ExchangeError("E_FILES_REFUSED", "bears another number or the fingerprint of another key")
    return manifest, content


def _chain_faults(signed: list[tuple[Manifest, bytes]]) -> Iterator[tuple[str, str]]:
    """Whether each manifest continues the one before, and each stretch of the share, too."""
    for (earlier, content), (later, _) in itertools.pairwise(signed):
        name = name_of(later.number, MANIFEST)
        if later.before != sha256_of(content) or later.series != earlier.series:
            yield name, "does not continue the delivery before"
        elif later.void not in (None, earlier.number):
            yield name, "takes the place of a delivery that is not the one before"
        elif _same_reading(earlier, later) and not _goes_on(earlier, later):
            yield name, "does not go on in the share where the delivery before ended"


def _same_reading(earlier: Manifest, later: Manifest) -> bool:
    return (earlier.grant, earlier.topic, earlier.reading) == (later.grant, later.topic, later.reading)


def _goes_on(earlier: Manifest, later: Manifest) -> bool:
    places = earlier.starts() if later.void == earlier.number else earlier.ends()
    return all(start == places.get(partition, 0) for partition, start in later.starts().items())


def _checked(
    folder: DropFolder, manifest: Manifest, content: bytes, void: bool, last: bool
) -> tuple[State, list[tuple[str, str]]]:
    receipt = name_of(manifest.number, RECEIPT)
    given = folder.read(receipt, RECEIPT_BYTES)
    taken = is_receipt(given, content)
    if given is not None and not taken:
        return State.WAITING, [(receipt, "is no receipt for this manifest")]
    if not (taken or void or last):
        return State.WAITING, [(receipt, "is missing, although later deliveries were made")]
    faults = []
    for entry in manifest.files:
        if (taken or void) and folder.size(entry.name) is None:
            continue  # removed, as it should be
        fault = _file_fault(folder, entry)
        if fault:
            faults.append((entry.name, fault))
    if not void and not faults and _counts(manifest) != _sums(manifest):
        faults.append((name_of(manifest.number, MANIFEST), "its counts contradict each other"))
    return State.VOID if void else State.TAKEN if taken else State.WAITING, faults


def _counts(manifest: Manifest) -> list[int]:
    return [entry.records for entry in manifest.files]


def _sums(manifest: Manifest) -> list[int]:
    """What the counts of the three files have to be."""
    return [manifest.records.written, manifest.records.written, manifest.records.withdrawn]


def _file_fault(folder: DropFolder, entry: FileEntry) -> str | None:
    """What is wrong with a file, if anything."""
    measured = folder.measured(entry.name, entry.bytes)
    if measured is None or measured.bytes != entry.bytes:
        return "is missing, no plain file, or of another size"
    if measured.sha256 != entry.sha256:
        return "does not have the hash that the manifest states"
    with folder.opened(entry.name) as file:
        if file is None:
            return "is missing"
        try:
            rows = read_container(file) if entry.name.endswith(f".{AVRO}") else read_rows(file)
            count = sum(1 for _ in rows)
        except ExchangeError as error:
            return error.detail
    return None if count == entry.records else "does not hold as many records as the manifest states"

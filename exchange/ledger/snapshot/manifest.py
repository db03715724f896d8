"""The manifest of a snapshot, signed with the ledger's key: to which event of which chain it belongs, and its bytes."""

import re
from dataclasses import dataclass

import orjson

from exchange.signing import SIGNATURE_BYTES, PublicKey, SigningKey

_PURPOSE = b"exchange.ledger.snapshot\n"
"""Signed with every manifest: a signature of something else is none of a snapshot."""
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed."""

    form: str
    """Of the code that wrote it: `exchange.ledger.snapshot.content.form`."""
    seq: int
    """Sequence number of the last event in the state."""
    hash: str
    """Of that event."""
    offset: int
    """Where that event stands in the ledger's topic: reading goes on with it, to see that it is still this one."""
    begins: int
    """The offset of its first record, or one before."""
    records: tuple[str, ...]
    """SHA-256 of each record, in their order."""

    def signed(self, key: SigningKey) -> bytes:
        """The manifest behind its signature, as it is kept."""
        text = orjson.dumps(self)
        return key.sign(_PURPOSE + text) + text


def opened(kept: bytes, key: PublicKey) -> Manifest | None:
    """The manifest that this key has signed; None for anything else."""
    signature, text = kept[:SIGNATURE_BYTES], kept[SIGNATURE_BYTES:]
    if len(signature) < SIGNATURE_BYTES or not key.signed(_PURPOSE + text, signature):
        return None
    try:
        said = orjson.loads(text)
        manifest = Manifest(
            str(said["form"]),
            int(said["seq"]),
            str(said["hash"]),
            int(said["offset"]),
            int(said["begins"]),
            tuple(map(str, said["records"])),
        )
    except (ValueError, KeyError, TypeError):
        return None
    hashes = (manifest.hash, *manifest.records)
    good = manifest.seq > 0 and manifest.offset >= 0 and manifest.begins >= 0
    return manifest if good and all(_HEX.fullmatch(one) for one in hashes) else None

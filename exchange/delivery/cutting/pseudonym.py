"""Pseudonyms: keyed hashes in place of keys, ids and values, with one secret for each share.

Only the delivery line reads the master secret. A share's secret follows from it (extract and expand as in RFC 5869),
the share's name and the version of the master secret that the ledger names, so pseudonyms of two shares never match.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchange.errors import ExchangeError
from exchange.names import ShareName

MIN_SECRET_BYTES = 32
PSEUDONYM_CHARACTERS = 32
"""128 bits as lower-case hexadecimal digits."""
DIGEST_BYTES = 8
_SALT = b"exchange.delivery.share"
_ID = b"id\x00"


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """The master secret in all its versions. Its repr shows none of them."""

    versions: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    @classmethod
    def read(cls, file: Path | None) -> "MasterSecret":
        """The versions on disk: `file` is version 1, `file` with the suffix `.n` is version n. No file: no version.

        Raises ExchangeError(E_MASTER_SECRET) for a file that cannot be read or holds less than 32 bytes.
        """
        if file is None:
            return cls()
        paths = {1: file}
        for path in file.parent.glob(f"{file.name}.*"):
            if path.name.removeprefix(f"{file.name}.").isdecimal():
                paths[int(path.name.rpartition(".")[2])] = path
        return cls({version: _read(path) for version, path in paths.items()})

    def of_share(self, share: ShareName, version: int) -> bytes:
        """The secret of one share, 32 bytes. Raises ExchangeError(E_MASTER_SECRET) when the version is missing."""
        master = self.versions.get(version)
        if master is None:
            raise ExchangeError("E_MASTER_SECRET", f"share {share} needs version {version} of the master secret")
        extracted = hmac.digest(_SALT, master, "sha256")
        return hmac.digest(extracted, f"{share}\x00{version}".encode() + b"\x01", "sha256")


def _read(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ExchangeError("E_MASTER_SECRET", f"the file cannot be read: {error.strerror}") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ExchangeError("E_MASTER_SECRET", f"the file holds less than {MIN_SECRET_BYTES} bytes")
    return secret


def pseudonym(secret: bytes, value: bytes) -> bytes:
    """The pseudonym of a key or a value. Within a share equal values have equal ones, so a key field equals its key."""
    return hmac.digest(secret, value, "sha256").hex()[:PSEUDONYM_CHARACTERS].encode()


def pseudonymous_id(secret: bytes, event_id: bytes) -> bytes:
    """The `ce_id` of a pseudonymous share. It never equals the pseudonym of a key or a value."""
    return pseudonym(secret, _ID + event_id)


def keyed_digest(secret: bytes, cut: bytes) -> bytes:
    """A keyed hash of 64 bits that tells whether the last cut of a record was the same.

    It is stored, and what it is made of is personal: without the secret nobody can try out what a record said.
    """
    return hashlib.blake2b(cut, digest_size=DIGEST_BYTES, key=secret).digest()

"""Signatures: Ed25519 (RFC 8032), keys as PEM files, signatures as 64 bytes beside what they sign.

Anybody can check one without us, here of a delivery in files:

    openssl pkeyutl -verify -pubin -inkey files.pub.pem -rawin -in 000001.manifest.json -sigfile 000001.manifest.sig
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from exchange.errors import ExchangeError

SIGNATURE_BYTES = 64
_OTHERS = 0o077


class PublicKey:
    """What checks signatures."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def read(cls, file: Path) -> "PublicKey":
        """The key of a PEM file. Raises ExchangeError(E_SETTINGS) when it holds none."""
        try:
            key = load_pem_public_key(file.read_bytes())
        except (OSError, ValueError) as error:
            raise ExchangeError("E_SETTINGS", f"the public key cannot be read: {type(error).__name__}") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ExchangeError("E_SETTINGS", "the public key is none of Ed25519")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the 32 bytes of the key, in hexadecimal digits: what two people read to each other."""
        return hashlib.sha256(self._key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()

    @property
    def pem(self) -> bytes:
        """The key as a PEM file."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, content: bytes, signature: bytes) -> bool:
        """Whether `signature` is one of exactly this content."""
        try:
            self._key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """What makes signatures. Its repr shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def read(cls, file: Path) -> "SigningKey":
        """The key of a PEM file. Raises ExchangeError(E_SETTINGS) when it holds none or others may read it."""
        try:
            open_to_others = file.stat().st_mode & _OTHERS
            key = load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise ExchangeError("E_SETTINGS", f"the signing key cannot be read: {type(error).__name__}") from None
        if open_to_others:
            raise ExchangeError(
                "E_SETTINGS", "others may read the signing key: its file must be its owner's alone (0600)"
            )
        if not isinstance(key, Ed25519PrivateKey):
            raise ExchangeError("E_SETTINGS", "the signing key is none of Ed25519")
        return cls(key)

    @classmethod
    def make(cls, file: Path) -> "SigningKey":
        """A new key in a new file of its owner alone. Raises ExchangeError(E_SETTINGS) when the file is there."""
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ExchangeError("E_SETTINGS", f"the signing key cannot be written: {error.strerror}") from None
        with os.fdopen(handle, "wb") as opened:
            opened.write(pem)
        return cls(key)

    def sign(self, content: bytes) -> bytes:
        """The signature of `content`."""
        return self._key.sign(content)

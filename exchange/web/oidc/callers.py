"""Callers that an OpenID Connect issuer vouches for: its signed tokens, its keys, which of our roles it says.

Beside the ledger's own tokens, and only when the settings name an issuer. RFC 7519 (claims), RFC 8725 (what to check).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, KeySet
from joserfc.jws import JWSRegistry

from exchange.broker.departments.tokens import DEPARTMENT_ROLE, ROLES
from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.settings import HttpSettings

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Signatures by a private key alone: with a shared secret, or none, whoever knows the public keys could sign."""
_LEEWAY_SECONDS = 30
_SUBJECT_CHARACTERS: Final = 255
"""OpenID Connect Core, section 2."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What an issuer says of a caller."""

    subject: str
    role: str
    department: str | None
    """Of the role `department` only. Whether there is one of that name is for the ledger to say."""


class Keys(Protocol):
    """Where the issuer's public keys come from."""

    def current(self, unknown: bool = False) -> KeySet:
        """The keys. unknown: a token names one that is not among them, so look again if that is allowed now.

        Raises ExchangeError(E_ISSUER) when there are none.
        """
        ...


class Oidc:
    """Recognises an issuer's tokens. Safe for any number of threads."""

    def __init__(self, settings: HttpSettings, keys: Keys, clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock.now().timestamp()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def identity(self, token: str) -> Identity:
        """Who shows this token. Raises ExchangeError: E_TOKEN, or E_ISSUER when the issuer's keys cannot be had."""
        try:
            claims = jwt.decode(token, self._keys_for, algorithms=ALGORITHMS, registry=self._registry).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise ExchangeError("E_TOKEN") from None
        return self._identity(claims)

    def _keys_for(self, token: GuestProtocol) -> KeySet:
        """The keys among which the token's is looked for; with those that the issuer has added, if it names one."""
        named, keys = token.headers().get("kid"), self._keys.current()
        if isinstance(named, str) and named not in _ids(keys):
            return self._keys.current(unknown=True)
        return keys

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject = claims["sub"]
        if not isinstance(subject, str) or len(subject) > _SUBJECT_CHARACTERS or not subject.isprintable():
            raise ExchangeError("E_TOKEN", f"the issuer's subject has at most {_SUBJECT_CHARACTERS} characters")
        role, department = claims.get(self._settings.oidc_role_claim), claims.get(self._settings.oidc_department_claim)
        if role not in ROLES:
            raise ExchangeError("E_TOKEN", "the issuer's token names no role of the exchange")
        if role != DEPARTMENT_ROLE:
            return Identity(subject, role, None)
        if not isinstance(department, str):
            raise ExchangeError("E_TOKEN", "the issuer's token names no department")
        return Identity(subject, role, department)


def looks_signed(token: str) -> bool:
    """Whether a bearer token has the form of a signed one. The ledger's own tokens hold no dot."""
    return token.count(".") == 2


def _ids(keys: KeySet) -> Collection[str | None]:
    return {key.kid for key in keys.keys}

"""Identifiers, one module each: `compact`, `validate`, `is_valid`, `mask`, and `error_code` for the hot path.

`validate` normalises what a person may have typed (separators, lower case, full-width forms) and returns the clean
text. `error_code` takes the text as it is and refuses everything but the clean form: admission uses it, so that one
thing has one key. Each module says on which records its form was tried.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from exchange.identifiers import credit_code, licence_id, organisation_code, region, resident_id

__all__ = ["IDENTIFIERS", "Identifier", "credit_code", "licence_id", "organisation_code", "region", "resident_id"]


class Identifier(Protocol):
    """What each module of an identifier offers."""

    def compact(self, text: str) -> str:
        """`text` in the clean form, as far as that takes no more than leaving out separators and the like."""
        ...

    def error_code(self, text: str) -> str | None:
        """None for a clean identifier, else the error code."""
        ...

    def validate(self, text: str) -> str:
        """The clean identifier. Raises InvalidIdentifier with the error code."""
        ...

    def is_valid(self, text: str) -> bool:
        """Whether `text`, once compacted, is an identifier of this kind."""
        ...

    def mask(self, text: str) -> str:
        """What may be shown of `text`."""
        ...


IDENTIFIERS: Final[Mapping[str, Identifier]] = MappingProxyType(
    {
        "resident-id": resident_id,
        "credit-code": credit_code,
        "organisation-code": organisation_code,
        "licence-id": licence_id,
        "region": region,
    }
)
"""The module of every value that a schema's `identifier` attribute may have."""

"""Identifiers, one module each: `compact`, `validate`, `is_valid`, `mask`, and `error_code` for the hot path.

`validate` normalises what a person may have typed (separators, lower case, full-width forms) and returns the clean
text. `error_code` takes the text as it is and refuses everything but the clean form: admission uses it, so that one
thing has one key.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from exchange.identifiers import credit_code, licence_id, organisation_code, region, resident_id

__all__ = ["CHECKS", "credit_code", "licence_id", "organisation_code", "region", "resident_id"]

CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "credit-code": credit_code.error_code,
        "licence-id": licence_id.error_code,
        "organisation-code": organisation_code.error_code,
        "region": region.error_code,
        "resident-id": resident_id.error_code,
    }
)
"""The check of every value that a schema's `identifier` attribute may have: text -> error code, or None."""

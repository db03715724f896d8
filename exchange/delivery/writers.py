"""Who wrote what is read: the locked versions of each record type's schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.delivery.cut import Holdings, compile_cut
from exchange.delivery.permit import Share
from exchange.errors import ExchangeError
from exchange.names import RecordType, SchemaId, ShareName


@dataclass(frozen=True, slots=True)
class Writers:
    """The versions of one record type's schema."""

    personal: bool
    """Whether its records are about natural persons."""
    versions: Mapping[SchemaId, Mapping[str, Any]]
    """Schema id -> Avro schema."""
    rules: RecordSchema | None = None
    """What the newest version says of keys and providers."""
    _verdicts: dict[ShareName, bool] = field(default_factory=dict, repr=False)

    def schema(self, schema_id: SchemaId) -> Mapping[str, Any]:
        """The schema of an id. Raises ExchangeError(E_REGISTRY_DAMAGED) when it is no version of this record type."""
        schema = self.versions.get(schema_id)
        if schema is None:
            raise ExchangeError("E_REGISTRY_DAMAGED", f"schema id {schema_id} is no version of this record type")
        return schema

    def fit(self, share: Share) -> bool:
        """Whether every version can be cut to the terms, and no key leaves that they hide. Asked once in a process."""
        verdict = self._verdicts.get(share.share)
        if verdict is None:
            verdict = self._verdicts[share.share] = all(_fits(share, *version) for version in self.versions.items())
        return verdict


def _fits(share: Share, schema_id: SchemaId, schema: Mapping[str, Any]) -> bool:
    shown = set(share.terms.fields) - {name for name, _ in share.terms.masks}
    if not share.terms.pseudonymous and not shown.issuperset(schema.get("naturalKey", ())):
        return False
    try:
        compile_cut(schema_id, schema, [share], Holdings(), 0)
    except ExchangeError as error:
        if error.code != "E_SHARE_TERMS":
            raise
        return False
    return True


def writers_of(schemas: SchemaRepository) -> dict[RecordType, Writers]:
    """The versions of every record type of the repository."""
    found: dict[RecordType, Writers] = {}
    for record_type in schemas.record_types():
        locked = schemas.versions(record_type)
        record = schemas.latest(record_type).record
        found[record_type] = Writers(
            record is None or record.personal, {version.id: version.schema for version in locked}, record
        )
    return found

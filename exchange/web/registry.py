"""The read part of the Confluent Schema Registry API, so that standard clients work unchanged. Schemas are code.

Subjects: every record type; and for clients that name subjects after topics, `<topic>-value` of inboxes, registries and
shares. Ids below 100,000 come from the lock file, the others are shares' own schemas and come from the ledger.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from exchange import names
from exchange.avro.compatibility import Mode, check
from exchange.avro.schema import parse
from exchange.broker.seams import Service
from exchange.errors import ExchangeError
from exchange.ledger.state import LedgerState
from exchange.names import RecordType, SchemaId
from exchange.web.access import Anyone
from exchange.web.bodies import SchemaBody
from exchange.web.problems import REGISTRY, RegistryError

_LEVEL = Mode.FULL_TRANSITIVE
"""What the append-only rule of registries implies."""
_VALUE = "-value"
_LATEST = ("latest", "-1")
_WRITES = (
    ("POST", "/subjects/{subject}/versions"),
    ("DELETE", "/subjects/{subject}"),
    ("DELETE", "/subjects/{subject}/versions/{version}"),
    ("PUT", "/config"),
    ("DELETE", "/config"),
    ("PUT", "/config/{subject}"),
    ("DELETE", "/config/{subject}"),
    ("PUT", "/mode"),
    ("PUT", "/mode/{subject}"),
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject."""

    subject: str
    version: int
    id: SchemaId
    schema: dict[str, Any]

    def shown(self) -> dict[str, Any]:
        """As clients know it."""
        return {"subject": self.subject, "version": self.version, "id": self.id, "schema": text(self.schema)}


class Subjects:
    """Finds versions in the lock file and in the ledger."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def all(self) -> list[str]:
        """Every subject, sorted."""
        return sorted({*self._service.schemas.record_types(), *self._service.ledger.read(_topic_subjects)})

    def versions(self, subject: str) -> list[Version]:
        """All versions of a subject, oldest first. Raises RegistryError(40401) for an unknown one."""
        found = list(self._locked(subject, self._record_type(subject))) or self._service.ledger.read(
            lambda state: list(_of_share(state, subject))
        )
        if not found:
            raise RegistryError("E_NOT_FOUND", 40401, f"Subject '{subject[:100]}' not found.")
        return found

    def version(self, subject: str, version: str) -> Version:
        """One version. Raises RegistryError: 40401, 40402 (unknown version), 42202 (no version at all)."""
        found = self.versions(subject)
        if version in _LATEST:
            return found[-1]
        if not (version.isascii() and version.isdigit() and int(version) > 0):
            raise RegistryError("E_REQUEST", 42202, "The specified version is not a valid version id.")
        for one in found:
            if one.version == int(version):
                return one
        raise RegistryError("E_NOT_FOUND", 40402, f"Version {version[:10]} not found.")

    def by_id(self, schema_id: int) -> list[Version]:
        """Every (subject, version) of an id. Raises RegistryError(40403) when there is none."""
        locked = self._service.schemas.by_id(schema_id)
        if locked is not None and locked.record is not None:
            return [Version(locked.subject, locked.version, locked.id, locked.schema)]
        found = self._service.ledger.read(lambda state: list(_of_id(state, schema_id)))
        if not found:
            raise RegistryError("E_NOT_FOUND", 40403, "Schema not found")
        return found

    def _locked(self, subject: str, record_type: str) -> Iterator[Version]:
        if record_type not in self._service.schemas.record_types():
            return
        for one in self._service.schemas.versions(record_type):
            yield Version(subject, one.version, one.id, one.schema)

    @staticmethod
    def _record_type(subject: str) -> str:
        """The record type of a subject that is one, or that is named after an inbox or a registry."""
        topic = subject.removesuffix(_VALUE)
        if topic == subject:
            return subject
        if topic.startswith("registry."):
            return topic.removeprefix("registry.")
        try:
            return names.split_inbox(topic)[0]
        except ValueError:
            return ""


def router(service: Service) -> APIRouter:
    """The paths of the registry."""
    api = APIRouter(tags=["schema registry"], default_response_class=_RegistryResponse)
    subjects = Subjects(service)
    _subjects(api, subjects)
    _ids(api, subjects)
    _config(api, subjects)
    _comparing(api, subjects)

    def write(_caller: Anyone) -> None:
        """Schemas are code: they are changed by review, never by a client."""
        raise RegistryError("E_SCHEMAS_ARE_CODE", 40301, "Schemas are code and cannot be written here.")

    for method, path in _WRITES:
        api.add_api_route(path, write, methods=[method], operation_id=f"{method} {path}", status_code=403)
    return api


class _RegistryResponse(JSONResponse):
    media_type = REGISTRY


def _subjects(api: APIRouter, subjects: Subjects) -> None:
    @api.get("/subjects")
    def every(_caller: Anyone) -> list[str]:
        """All subjects."""
        return subjects.all()

    @api.get("/subjects/{subject}/versions")
    def versions(subject: str, _caller: Anyone) -> list[int]:
        """The versions of a subject."""
        return [one.version for one in subjects.versions(subject)]

    @api.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str, _caller: Anyone) -> dict[str, Any]:
        """One version of a subject; `latest` is the newest."""
        return subjects.version(subject, version).shown()

    @api.get("/subjects/{subject}/versions/{version}/schema")
    def bare(subject: str, version: str, _caller: Anyone) -> dict[str, Any]:
        """The schema alone."""
        return subjects.version(subject, version).schema


def _ids(api: APIRouter, subjects: Subjects) -> None:
    @api.get("/schemas/types")
    def types(_caller: Anyone) -> list[str]:
        """The one type of schemas there is."""
        return ["AVRO"]

    @api.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int, _caller: Anyone) -> dict[str, Any]:
        """The schema that a record's framing names."""
        return {"schema": text(subjects.by_id(schema_id)[0].schema)}

    @api.get("/schemas/ids/{schema_id}/schema")
    def bare_by_id(schema_id: int, _caller: Anyone) -> dict[str, Any]:
        """The schema alone."""
        return subjects.by_id(schema_id)[0].schema

    @api.get("/schemas/ids/{schema_id}/versions")
    def places(schema_id: int, _caller: Anyone) -> list[dict[str, Any]]:
        """Where an id is used."""
        return [{"subject": one.subject, "version": one.version} for one in subjects.by_id(schema_id)]

    @api.get("/schemas/ids/{schema_id}/subjects")
    def names_of(schema_id: int, _caller: Anyone) -> list[str]:
        """The subjects of an id."""
        return [one.subject for one in subjects.by_id(schema_id)]


def _config(api: APIRouter, subjects: Subjects) -> None:
    @api.get("/config")
    def config(_caller: Anyone) -> dict[str, Any]:
        """The level that the append-only rule implies."""
        return {"compatibilityLevel": _LEVEL.value}

    @api.get("/config/{subject}")
    def config_of(subject: str, _caller: Anyone) -> dict[str, Any]:
        """The same for every subject."""
        subjects.versions(subject)
        return {"compatibilityLevel": _LEVEL.value}

    @api.get("/mode")
    def mode(_caller: Anyone) -> dict[str, Any]:
        """Read only."""
        return {"mode": "READONLY"}


def _comparing(api: APIRouter, subjects: Subjects) -> None:
    @api.post("/subjects/{subject}")
    def find(subject: str, body: SchemaBody, _caller: Anyone) -> dict[str, Any]:
        """The version of a subject that holds this schema."""
        wanted = _parsed(body)
        for one in subjects.versions(subject):
            if one.schema == wanted:
                return one.shown()
        raise RegistryError("E_NOT_FOUND", 40403, "Schema not found")

    @api.post("/compatibility/subjects/{subject}/versions/{version}")
    def compatible(
        subject: str, version: str, body: SchemaBody, _caller: Anyone, verbose: bool = Query(default=False)
    ) -> dict[str, Any]:
        """Whether a schema could follow this version."""
        against = subjects.version(subject, version)
        found = check(_parsed(body), [against.schema], _LEVEL)
        result: dict[str, Any] = {"is_compatible": not found}
        if verbose:
            result["messages"] = [f"{one.path}: {one.kind}" for one in found]
        return result


def text(schema: dict[str, Any]) -> str:
    """A schema as the JSON text in which clients expect it."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _parsed(body: SchemaBody) -> Any:
    try:
        schema = json.loads(body.schema_)
        parse(schema)
    except (ValueError, RecursionError, ExchangeError):
        raise RegistryError("E_REQUEST", 42201, "Invalid schema") from None
    return schema


def _topic_subjects(state: LedgerState) -> list[str]:
    inboxes = [names.inbox_topic(one.record_type, one.provider) for one in state.resources.values()]
    registries = [names.registry_topic(RecordType(one.record_type)) for one in state.resources.values()]
    shares = [names.share_topic(share) for share in state.shares]
    return [topic + _VALUE for topic in (*inboxes, *registries, *shares)]


def _of_share(state: LedgerState, subject: str) -> Iterator[Version]:
    for share in state.shares.values():
        if names.share_topic(share.share) + _VALUE == subject:
            yield Version(subject, 1, share.schema_id, share.schema)


def _of_id(state: LedgerState, schema_id: int) -> Iterator[Version]:
    for share in state.shares.values():
        if share.schema_id == schema_id:
            yield Version(names.share_topic(share.share) + _VALUE, 1, share.schema_id, share.schema)

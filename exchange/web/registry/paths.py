"""The read part of the Confluent Schema Registry API, so that standard clients work unchanged. Schemas are code."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from exchange.avro.compatibility import Mode, check
from exchange.avro.schema import parse
from exchange.errors import ExchangeError
from exchange.web.access import Admitted
from exchange.web.bodies import SchemaBody
from exchange.web.problems import REGISTRY, RegistryError
from exchange.web.registry.subjects import Subjects, Version, text
from exchange.web.service import Service

_LEVEL = Mode.FULL_TRANSITIVE
"""What the append-only rule of registries implies."""
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
    ("DELETE", "/mode/{subject}"),
    ("POST", "/contexts/{context}"),
)
_Prefix = Annotated[str, Query(alias="subjectPrefix", max_length=300)]
_Offset = Annotated[int, Query(ge=0, description="how many to leave out at the beginning")]
_Limit = Annotated[int, Query(ge=-1, description="most entries; 0 or less: all of them")]
_DeletedOnly = Annotated[
    bool, Query(alias="deletedOnly", description="nothing is ever deleted: then the list is empty")
]


def router(service: Service) -> APIRouter:
    """The paths of the registry."""
    api = APIRouter(tags=["schema registry"], default_response_class=_RegistryResponse)
    for paths in (_subjects, _versions, _ids, _config, _comparing):
        paths(api, service)

    def write(_caller: Admitted) -> None:
        """Schemas are code: they are changed by review, never by a client."""
        raise RegistryError("E_SCHEMAS_ARE_CODE", 40301, "Schemas are code and cannot be written here.")

    for method, path in _WRITES:
        api.add_api_route(path, write, methods=[method], operation_id=f"{method} {path}", status_code=403)
    return api


class _RegistryResponse(JSONResponse):
    media_type = REGISTRY


def _part(found: list[Any], offset: int, limit: int) -> list[Any]:
    return found[offset : offset + limit] if limit > 0 else found[offset:]


def _subjects(api: APIRouter, service: Service) -> None:
    @api.get("/subjects")
    def every(
        caller: Admitted,
        prefix: _Prefix = "",
        offset: _Offset = 0,
        limit: _Limit = -1,
        deleted_only: _DeletedOnly = False,
    ) -> list[str]:
        """All subjects, or those with a prefix."""
        return [] if deleted_only else _part(Subjects(service, caller).all(prefix), offset, limit)

    @api.get("/schemas")
    def schemas(
        caller: Admitted,
        prefix: _Prefix = "",
        latest: Annotated[bool, Query(alias="latestOnly")] = False,
        offset: _Offset = 0,
        limit: _Limit = -1,
    ) -> list[dict[str, Any]]:
        """Every version of every subject, or of those with a prefix."""
        found: list[Version] = []
        for versions in Subjects(service, caller).every(prefix):
            found += versions[-1:] if latest else versions
        return [one.shown() for one in _part(found, offset, limit)]

    @api.get("/contexts")
    def contexts(_caller: Admitted) -> list[str]:
        """The one context there is."""
        return ["."]


def _versions(api: APIRouter, service: Service) -> None:
    @api.get("/subjects/{subject}/versions")
    def versions(
        subject: str, caller: Admitted, offset: _Offset = 0, limit: _Limit = -1, deleted_only: _DeletedOnly = False
    ) -> list[int]:
        """The versions of a subject."""
        found = [one.version for one in Subjects(service, caller).versions(subject)]
        return [] if deleted_only else _part(found, offset, limit)

    @api.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str, caller: Admitted) -> dict[str, Any]:
        """One version of a subject; `latest` is the newest."""
        return Subjects(service, caller).version(subject, version).shown()

    @api.get("/subjects/{subject}/versions/{version}/schema")
    def bare(subject: str, version: str, caller: Admitted) -> dict[str, Any]:
        """The schema alone."""
        return Subjects(service, caller).version(subject, version).schema

    @api.get("/subjects/{subject}/versions/{version}/referencedby")
    def referring(subject: str, version: str, caller: Admitted) -> list[int]:
        """Ids of schemas that refer to this one: none, every schema is whole."""
        Subjects(service, caller).version(subject, version)
        return []


def _ids(api: APIRouter, service: Service) -> None:
    @api.get("/schemas/types")
    def types(_caller: Admitted) -> list[str]:
        """The one type of schemas there is."""
        return ["AVRO"]

    @api.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int, caller: Admitted) -> dict[str, Any]:
        """The schema that a record's framing names."""
        return {"schema": text(Subjects(service, caller).by_id(schema_id)[0].schema)}

    @api.get("/schemas/ids/{schema_id}/schema")
    def bare_by_id(schema_id: int, caller: Admitted) -> dict[str, Any]:
        """The schema alone."""
        return Subjects(service, caller).by_id(schema_id)[0].schema

    @api.get("/schemas/ids/{schema_id}/versions")
    def places(schema_id: int, caller: Admitted, offset: _Offset = 0, limit: _Limit = -1) -> list[dict[str, Any]]:
        """Where an id is used."""
        found = _part(Subjects(service, caller).by_id(schema_id), offset, limit)
        return [{"subject": one.subject, "version": one.version} for one in found]

    @api.get("/schemas/ids/{schema_id}/subjects")
    def names_of(schema_id: int, caller: Admitted, offset: _Offset = 0, limit: _Limit = -1) -> list[str]:
        """The subjects of an id."""
        return [one.subject for one in _part(Subjects(service, caller).by_id(schema_id), offset, limit)]


def _config(api: APIRouter, service: Service) -> None:
    @api.get("/config")
    def config(_caller: Admitted) -> dict[str, Any]:
        """The level that the append-only rule implies."""
        return {"compatibilityLevel": _LEVEL.value}

    @api.get("/config/{subject}")
    def config_of(subject: str, caller: Admitted) -> dict[str, Any]:
        """The same for every subject."""
        Subjects(service, caller).versions(subject)
        return {"compatibilityLevel": _LEVEL.value}

    @api.get("/mode")
    def mode(_caller: Admitted) -> dict[str, Any]:
        """Read only."""
        return {"mode": "READONLY"}

    @api.get("/mode/{subject}")
    def mode_of(subject: str, caller: Admitted) -> dict[str, Any]:
        """The same for every subject."""
        Subjects(service, caller).versions(subject)
        return {"mode": "READONLY"}


def _comparing(api: APIRouter, service: Service) -> None:
    @api.post("/subjects/{subject}")
    def find(subject: str, body: SchemaBody, caller: Admitted) -> dict[str, Any]:
        """The version of a subject that holds this schema, however it is written (as if `normalize` were given)."""
        return Subjects(service, caller).holding(subject, _parsed(body)).shown()

    @api.post("/compatibility/subjects/{subject}/versions/{version}")
    def compatible(
        subject: str, version: str, body: SchemaBody, caller: Admitted, verbose: bool = Query(default=False)
    ) -> dict[str, Any]:
        """Whether a schema could follow this version."""
        return _compared(body, [Subjects(service, caller).version(subject, version)], verbose)

    @api.post("/compatibility/subjects/{subject}/versions")
    def compatible_with_all(
        subject: str, body: SchemaBody, caller: Admitted, verbose: bool = Query(default=False)
    ) -> dict[str, Any]:
        """Whether a schema could follow every version."""
        return _compared(body, Subjects(service, caller).versions(subject), verbose)


def _compared(body: SchemaBody, history: list[Version], verbose: bool) -> dict[str, Any]:
    found = check(_parsed(body), [one.schema for one in history], _LEVEL)
    result: dict[str, Any] = {"is_compatible": not found}
    if verbose:
        result["messages"] = [f"{one.path}: {one.kind}" for one in found]
    return result


def _parsed(body: SchemaBody) -> Any:
    if body.schema_type not in (None, "AVRO"):
        raise RegistryError("E_REQUEST", 42201, "Schemas here are AVRO")
    if body.references:
        raise RegistryError("E_REQUEST", 42201, "Schemas here are whole and refer to no others")
    try:
        schema = json.loads(body.schema_)
        parse(schema)
    except (ValueError, RecursionError, ExchangeError):
        raise RegistryError("E_REQUEST", 42201, "Invalid schema") from None
    return schema

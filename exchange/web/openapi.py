"""What the API says of itself: the statuses that every operation can give, derived from what the operation takes.

A path that is added later is described as well: whoever needs a token, has parameters or is a command is seen in the
document itself.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from exchange.web.problems import PROBLEM, REGISTRY, REGISTRY_PATHS

_KEY = "idempotency-key"
_TEXTS = ("type", "title", "detail", "code", "advice")
_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [*_TEXTS, "status"],
    "properties": {"status": {"type": "integer"}, **{name: {"type": "string"} for name in _TEXTS}},
    "additionalProperties": False,
}
_REGISTRY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "integer"}, "message": {"type": "string"}},
    "additionalProperties": False,
}
_MEANING = {
    "401": "No token that is in force",
    "403": "Not for this role or department",
    "404": "There is no such thing, or it is not for this caller to know",
    "408": "The body did not come in time",
    "409": "Not in this state; a duplicate; or the Idempotency-Key stands for another command",
    "413": "The body is too large",
    "422": "The request has another form, or the command is refused",
    "429": "Too many requests; see Retry-After",
    "500": "A fault of the exchange itself",
    "503": "No leader, or Kafka does not answer; see Retry-After",
}


def describe(app: FastAPI) -> None:
    """Let `app` describe every status of every operation in its OpenAPI document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for path, item in made["paths"].items():
                for operation in item.values():
                    _complete(path, operation)
            made["components"]["schemas"] |= {"Problem": _PROBLEM_SCHEMA, "RegistryProblem": _REGISTRY_SCHEMA}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way FastAPI documents


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Add the answers that an operation gives beside those it declares itself."""
    of_registry = path.startswith(REGISTRY_PATHS)
    form, name = (REGISTRY, "RegistryProblem") if of_registry else (PROBLEM, "Problem")
    content = {form: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    declared = operation["responses"]
    declared.pop("422", None)  # of FastAPI's own form, which is never sent
    for status in sorted(_statuses(operation)):
        declared.setdefault(status, {"description": _MEANING[status], "content": content})


def _statuses(operation: dict[str, Any]) -> set[str]:
    parameters = operation.get("parameters", ())
    places = {one["in"] for one in parameters}
    command = any(one["name"] == _KEY for one in parameters)
    found = {"500"}
    if "security" in operation:
        found |= {"401", "403", "429", "503"}
    if places or "requestBody" in operation:
        found |= {"404", "422"}
    if "requestBody" in operation:
        found |= {"408", "413"}
    if command:
        found.add("409")
    return found

"""One form of a schema for every way of writing the same: what other libraries print of it compares equal.

Names are full names, `{"type": "string"}` is `"string"`, and what says no more than the default is left out. Nothing
that means something is lost: documentation, defaults, aliases, logical types and own attributes are kept (unlike in
the Parsing Canonical Form of the Avro specification, under which different schemas are equal).
"""

from typing import Any

from exchange.avro.schema import PRIMITIVES

_NAMED = ("record", "error", "enum", "fixed")
_IDLE: dict[str, tuple[Any, ...]] = {"order": ("ascending",), "aliases": ([], ()), "doc": ("", None)}
"""Attributes with values that mean the same as leaving them out."""


def normal(schema: Any, namespace: str = "") -> Any:
    """The normal form of a valid schema (JSON as Python has it). namespace: of the type that it stands in."""
    if isinstance(schema, str):
        return _full(schema, namespace)
    if isinstance(schema, list):
        return [normal(branch, namespace) for branch in schema]
    kind = schema["type"]
    if isinstance(kind, dict | list):
        inner = normal(kind, namespace)
        return inner if len(schema) == 1 else {**_kept(schema), "type": inner}
    if kind in _NAMED:
        return _definition(schema, namespace)
    rest = {name: value for name, value in _kept(schema).items() if name != "type"}
    for part in ("items", "values"):
        if part in rest:
            rest[part] = normal(rest[part], namespace)
    named = _full(kind, namespace) if kind not in ("array", "map") else kind
    return {"type": named, **rest} if rest else named


def _definition(schema: dict[str, Any], namespace: str) -> dict[str, Any]:
    name, own = schema["name"], schema.get("namespace", namespace)
    full = name if "." in name or not own else f"{own}.{name}"
    inside = full.rpartition(".")[0]
    made = {part: value for part, value in _kept(schema).items() if part != "namespace"} | {"name": full}
    if "aliases" in made:
        made["aliases"] = [_full(alias, inside) for alias in made["aliases"]]
    if "fields" in made:
        made["fields"] = [{**_kept(one), "type": normal(one["type"], inside)} for one in made["fields"]]
    return made


def _kept(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if value not in _IDLE.get(name, ())}


def _full(name: str, namespace: str) -> str:
    return name if name in PRIMITIVES or "." in name or not namespace else f"{namespace}.{name}"

"""Share schemas: what is left of a record type's schema when some fields are kept and some of those are masked."""

from collections.abc import Mapping, Sequence
from typing import Any

from exchange.avro.schema import parse_record
from exchange.errors import ExchangeError

_RECORD_ATTRIBUTES = ("namespace", "doc", "recordType", "meaningZh")
_FIELD_ATTRIBUTES = ("name", "type", "doc", "default", "meaningZh", "standard", "codeSet")
_TEXT_MASKS = ("first", "ends", "pseudonym")


def subset_schema(schema: dict[str, Any], fields: Sequence[str], masks: Mapping[str, str], name: str) -> dict[str, Any]:
    """The schema of a share: record `name` with the kept `fields` in the writer's order, masked ones as text.

    A masked field becomes `string`, a nullable one `["null", "string"]` with default null. Attributes that describe a
    field stay; those that steer admission (natural key, provider rule, identifiers, sharing) do not. Named types stay
    defined at their first use. Raises ExchangeError E_UNKNOWN_FIELD for a field that does not exist, E_MASK for a mask
    that does not fit (first, ends, pseudonym on text; year on dates), E_SCHEMA when `schema` is no record.
    """
    root = parse_record(schema)
    wanted = set(fields)
    unknown = (wanted | set(masks)) - {item.name for item in root.fields}
    if unknown:
        raise ExchangeError("E_UNKNOWN_FIELD", f"the record type has no field {min(unknown)}")
    if set(masks) - wanted:
        raise ExchangeError("E_MASK", f"field {min(set(masks) - wanted)} is masked but not kept")
    definitions = _definitions(schema)
    kept = [_kept(item, masks.get(item["name"])) for item in schema["fields"] if item["name"] in wanted]
    namespace = str(schema.get("namespace", ""))
    placed: set[str] = set()
    kept = [{**item, "type": _placed(item["type"], namespace, definitions, placed)} for item in kept]
    record = {key: schema[key] for key in _RECORD_ATTRIBUTES if key in schema}
    return {"type": "record", "name": name, **record, "fields": kept}


def _kept(item: Mapping[str, Any], mask: str | None) -> dict[str, Any]:
    field = {key: item[key] for key in _FIELD_ATTRIBUTES if key in item}
    if mask is None:
        return field
    type_ = item["type"]
    optional = isinstance(type_, list) and len(type_) == 2 and "null" in type_
    inner = next(part for part in type_ if part != "null") if optional else type_
    plain = inner["type"] if isinstance(inner, dict) else inner
    logical = inner.get("logicalType") if isinstance(inner, dict) else None
    fits = (plain == "string" and mask in _TEXT_MASKS) or (plain == "int" and logical == "date" and mask == "year")
    if not fits:
        raise ExchangeError("E_MASK", f"mask {mask} does not fit field {item['name']}")
    field.pop("default", None)
    field.pop("codeSet", None)
    field["type"] = ["null", "string"] if optional else "string"
    if optional:
        field["default"] = None
    return {**field, "mask": mask}


def _definitions(schema: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], str]]:
    """Every named type by full name, with the namespace it stands in."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    todo: list[tuple[Any, str]] = [(item["type"], str(schema.get("namespace", ""))) for item in schema["fields"]]
    while todo:
        raw, namespace = todo.pop()
        if isinstance(raw, list):
            todo += [(branch, namespace) for branch in raw]
        if not isinstance(raw, dict):
            continue
        if "name" in raw:
            full = _full(raw, namespace)
            found[full] = (raw, namespace)
            namespace = full.rpartition(".")[0]
        todo += [(item["type"], namespace) for item in raw.get("fields", ())]
        todo += [(raw[key], namespace) for key in ("items", "values") if key in raw]
    return found


def _full(raw: Mapping[str, Any], namespace: str) -> str:
    name, inside = str(raw["name"]), raw.get("namespace", namespace)
    return name if "." in name or not inside else f"{inside}.{name}"


def _placed(raw: Any, namespace: str, definitions: Mapping[str, tuple[dict[str, Any], str]], placed: set[str]) -> Any:
    """`raw` with every named type defined where it is first used: its definition may stand in a field that is cut."""
    if isinstance(raw, list):
        return [_placed(branch, namespace, definitions, placed) for branch in raw]
    if isinstance(raw, str):
        full = f"{namespace}.{raw}" if namespace and "." not in raw else raw
        full = full if full in definitions else raw
        if full not in definitions or full in placed:
            return raw
        definition, namespace = definitions[full]
        return _placed({**definition, "name": full}, namespace, definitions, placed)
    if "name" in raw:
        full = _full(raw, namespace)
        if full in placed:
            return full
        placed.add(full)
        namespace = full.rpartition(".")[0]
    result = dict(raw)
    if "fields" in raw:
        result["fields"] = [
            {**item, "type": _placed(item["type"], namespace, definitions, placed)} for item in raw["fields"]
        ]
    for key in ("items", "values"):
        if key in raw:
            result[key] = _placed(raw[key], namespace, definitions, placed)
    return result

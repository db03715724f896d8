"""What the entries of a catalogue say about each other and about the schemas. Findings are sentences for its author."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Final

from exchange.avro.record_schema import RecordSchema
from exchange.calendar import day_in_shanghai
from exchange.catalogue.model import Catalogue, DepartmentSpec, ResourceSpec, Sharing
from exchange.errors import ExchangeError
from exchange.identifiers import credit_code, region
from exchange.names import department, record_type, registry_of

_RESOURCE_CODE: Final = re.compile(r"([123])([0-9]{2})([0-9]{3})([0-9]*)/([0-9]+)")
_BASE_CLASS: Final = "1"
_ITEM_OF_REGISTRY: Final = {
    "population": "01",
    "legal-entity": "02",
    "natural-resources": "03",
    "credit": "04",
    "e-licence": "05",
    "macro-economy": "06",
}
"""Item digits of the base registries, in the order of the guide; the guide of 2017 does not list macro-economy."""


def check(catalogue: Catalogue, schemas: Mapping[str, RecordSchema], today: date | None = None) -> list[str]:
    """Everything that is wrong in `catalogue`, empty when nothing is.

    `schemas` has the current schema of each record type; `today` is by default that of Asia/Shanghai.
    """
    today = today or day_in_shanghai(datetime.now(UTC))
    return [
        *_codes_of_departments(catalogue),
        *(finding for one in catalogue.departments.values() for finding in _department(one)),
        *(finding for one in catalogue.departments.values() for finding in _succession(one, catalogue)),
        *_ownership(catalogue),
        *(finding for one in catalogue.resources.values() for finding in _provider(one, catalogue, today)),
        *(finding for one in catalogue.resources.values() for finding in _resource(one, catalogue, schemas)),
        *_sole_providers(catalogue, schemas),
    ]


def check_code_sets(schemas: Mapping[str, RecordSchema], code_sets: Mapping[str, frozenset[str]]) -> list[str]:
    """Fields whose code set does not exist."""
    return [
        f"{name}.{rule.name}: there is no code set {rule.code_set}"
        for name, schema in schemas.items()
        for rule in schema.fields
        if rule.code_set and rule.code_set not in code_sets
    ]


def _codes_of_departments(catalogue: Catalogue) -> Iterator[str]:
    counts = Counter(one.credit_code for one in catalogue.departments.values())
    for slug, one in catalogue.departments.items():
        if counts[one.credit_code] > 1:
            yield f"department {slug}: another department has the same credit code"


def _department(one: DepartmentSpec) -> Iterator[str]:
    where = f"department {one.slug}"
    try:
        department(one.slug)
    except ExchangeError as error:
        yield f"{where}: {error.detail}"
    if code := credit_code.error_code(one.credit_code):
        yield f"{where}: its credit code is invalid ({code})"
    if region.error_code(one.region):
        yield f"{where}: its region is invalid"
    if one.valid_until is not None and one.valid_until <= one.valid_from:
        yield f"{where}: ends before it begins"
    if unknown := [first for first in one.owns if first not in credit_code.KINDS]:
        yield f"{where}: no credit code begins with {', '.join(unknown)}"


def _succession(one: DepartmentSpec, catalogue: Catalogue) -> Iterator[str]:
    where = f"department {one.slug}"
    if one.successors and one.valid_until is None:
        yield f"{where}: has successors but no end"
    for slug in one.successors:
        successor = catalogue.departments.get(slug)
        if successor is None:
            yield f"{where}: its successor {slug} is not in the catalogue"
        elif one.valid_until is not None and not successor.exists(one.valid_until):
            yield f"{where}: its successor {slug} does not exist on {one.valid_until}, the day it takes over"
    heirs = [catalogue.departments[slug] for slug in one.successors if slug in catalogue.departments]
    for first in one.owns:
        if heirs and not any(first in heir.owns for heir in heirs):
            yield f"{where}: no successor owns the credit codes that begin with {first}"


def _ownership(catalogue: Catalogue) -> Iterator[str]:
    for one, other in combinations(catalogue.departments.values(), 2):
        both = sorted(set(one.owns) & set(other.owns))
        if both and one.overlaps(other):
            yield f"departments {one.slug} and {other.slug}: own credit codes with {', '.join(both)} at the same time"


def _provider(one: ResourceSpec, catalogue: Catalogue, today: date) -> Iterator[str]:
    where = f"resource {one.code}"
    provider = catalogue.departments.get(one.provider)
    if provider is None:
        yield f"{where}: its provider {one.provider} is not in the catalogue"
    elif not provider.exists(one.published):
        yield f"{where}: its provider {one.provider} does not exist on the day of publication"
    elif not provider.exists(today):
        yield f"{where}: its provider {one.provider} exists no more; a successor has to offer it"


def _resource(one: ResourceSpec, catalogue: Catalogue, schemas: Mapping[str, RecordSchema]) -> Iterator[str]:
    where = f"resource {one.code}"
    try:
        record_type(one.record_type)
    except ExchangeError as error:
        yield f"{where}: {error.detail}"
        return
    yield from _resource_code(one, where)
    schema = schemas.get(one.record_type)
    if schema is None:
        yield f"{where}: there is no schema for {one.record_type}"
        return
    provider = catalogue.departments.get(one.provider)
    if provider is not None and schema.provider_rule == "first-character" and not provider.owns:
        yield f"{where}: its provider {one.provider} gives no credit codes, so it cannot register {one.record_type}"
    yield from _fields(one, schema, where)


def _resource_code(one: ResourceSpec, where: str) -> Iterator[str]:
    match = _RESOURCE_CODE.fullmatch(one.code)
    if match is None:
        yield f"{where}: its code is not <class 1><item 2><subject 3><detail>/<serial>, digits only"
    elif match[1] == _BASE_CLASS and match[2] != _ITEM_OF_REGISTRY[registry_of(one.record_type)]:
        yield f"{where}: item {match[2]} of class 1 is not the registry of {one.record_type}"


def _fields(one: ResourceSpec, schema: RecordSchema, where: str) -> Iterator[str]:
    rules = {rule.name: rule for rule in schema.fields}
    if not one.fields:
        yield f"{where}: offers no field"
    for name, sharing in one.fields.items():
        if name not in rules:
            yield f"{where}: {one.record_type} has no field {name}"
        elif rules[name].sharing and sharing.rank < Sharing(rules[name].sharing).rank:
            yield f"{where}: field {name} is {sharing}, but the schema says {rules[name].sharing}"
        elif sharing is Sharing.UNCONDITIONAL and one.sharing is not Sharing.UNCONDITIONAL and rules[name].personal:
            yield f"{where}: the personal field {name} is unconditional in a resource that is {one.sharing}"


def _sole_providers(catalogue: Catalogue, schemas: Mapping[str, RecordSchema]) -> Iterator[str]:
    for name in dict.fromkeys(one.record_type for one in catalogue.resources.values()):
        schema = schemas.get(name)
        if schema is None or schema.provider_rule != "sole":
            continue
        providers = sorted({one.provider for one in catalogue.resources_of(name)})
        for one, other in combinations((slug for slug in providers if slug in catalogue.departments), 2):
            if catalogue.departments[one].overlaps(catalogue.departments[other]):
                yield f"resources of {name}: {one} and {other} provide it at the same time, but only one may"

"""The catalogue as one HTML page that a person can read: departments, resources, and every field with its rules.

The page needs nothing beside itself: no other file, no network. It speaks Chinese and English; without a modern
browser it shows both.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exchange.avro.record_schema import FieldRule, RecordSchema
from exchange.catalogue import words
from exchange.catalogue.code_sets import CodeSet
from exchange.catalogue.model import Catalogue, Condition, DepartmentSpec, Level, ResourceSpec, Sharing
from exchange.errors import ExchangeError
from exchange.names import REGISTRIES, registry_of

_FOLDER: Final = Path(__file__).parent
_TEMPLATE: Final = "page.html.jinja"
_NOT_IN_ANCHORS: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Row:
    """A field of a resource."""

    rule: FieldRule
    form: words.Text
    key: bool
    sharing: Sharing
    condition: Condition | None
    """Its own condition; None when that of the resource holds, or none."""
    basis: str
    """Why it is not shared."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """A resource with what the page says about it."""

    spec: ResourceSpec
    schema: RecordSchema
    provider: DepartmentSpec
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """The resources of a registry."""

    registry: str
    title: words.Text
    offers: tuple[_Offer, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A department that took over from others on a day."""

    on: date
    successor: DepartmentSpec
    before: tuple[DepartmentSpec, ...]


def page(
    catalogue: Catalogue, schemas: Mapping[str, RecordSchema], code_sets: Mapping[str, CodeSet], today: date
) -> str:
    """The catalogue as it stands on the day `today`, as HTML.

    Raises ExchangeError: E_CATALOGUE when a resource has no schema or no provider, E_UNKNOWN_FIELD.
    """
    sections = tuple(_section(registry, catalogue, schemas) for registry in REGISTRIES)
    offered = {offer.schema.record_type: offer.schema for section in sections for offer in section.offers}
    named = {rule.code_set for schema in offered.values() for rule in schema.fields}
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return (
        _environment(catalogue.laws)
        .get_template(_TEMPLATE)
        .render(
            sections=sections,
            bodies=[one for one in catalogue.departments.values() if one.exists(today) and one.level is Level.PROVINCE],
            gone=[one for one in catalogue.departments.values() if not one.exists(today)],
            local=[
                one for one in catalogue.departments.values() if one.exists(today) and one.level is not Level.PROVINCE
            ],
            changes=_changes(catalogue),
            departments=catalogue.departments,
            laws=catalogue.laws,
            provided=_provided(catalogue),
            code_sets=[code_sets[name] for name in sorted(code_sets) if name in named],
            today=today,
            style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _environment(laws: Mapping[str, str]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        SHARINGS=words.SHARINGS, CYCLES=words.CYCLES, LEVELS=words.LEVELS, IDENTIFIERS=words.IDENTIFIERS, anchor=anchor
    )
    environment.filters.update(source=lambda text: words.source(text, laws))
    return environment


def anchor(kind: str, name: str) -> str:
    """The place of a thing on the page: `resource-102001-0001`."""
    return f"{kind}-{_NOT_IN_ANCHORS.sub('-', name.lower())}"


def _section(registry: str, catalogue: Catalogue, schemas: Mapping[str, RecordSchema]) -> _Section:
    specs = (one for one in catalogue.resources.values() if registry_of(one.record_type) == registry)
    offers = (_offer(one, catalogue, schemas) for one in sorted(specs, key=lambda one: one.code))
    return _Section(registry, words.REGISTRIES[registry], tuple(offers))


def _offer(spec: ResourceSpec, catalogue: Catalogue, schemas: Mapping[str, RecordSchema]) -> _Offer:
    schema = schemas.get(spec.record_type)
    provider = catalogue.departments.get(spec.provider)
    if schema is None or provider is None:
        raise ExchangeError("E_CATALOGUE", f"resource {spec.code} has no schema or no provider")
    return _Offer(spec, schema, provider, tuple(_row(name, spec, schema) for name in spec.fields))


def _row(name: str, spec: ResourceSpec, schema: RecordSchema) -> _Row:
    rule = schema.field(name)
    return _Row(
        rule=rule,
        form=words.form_of(rule.type).name,
        key=name in schema.natural_key,
        sharing=spec.fields[name],
        condition=spec.field_conditions.get(name),
        basis=spec.not_shared_basis.get(name, ""),
    )


def _provided(catalogue: Catalogue) -> Mapping[str, list[ResourceSpec]]:
    return {
        slug: [one for one in catalogue.resources.values() if one.provider == slug] for slug in catalogue.departments
    }


def _changes(catalogue: Catalogue) -> list[_Change]:
    """Who took over from whom, oldest first."""
    ended = (one for one in catalogue.departments.values() if one.valid_until is not None)
    pairs = [(one.valid_until or date.max, slug, one) for one in ended for slug in one.successors]
    found: Iterable[tuple[date, str]] = dict.fromkeys((on, slug) for on, slug, _one in pairs)
    changes = (
        _Change(on, catalogue.department(slug), tuple(one for day, heir, one in pairs if (day, heir) == (on, slug)))
        for on, slug in found
    )
    return sorted(changes, key=lambda change: change.on)

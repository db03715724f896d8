"""Reads a catalogue folder.

`departments.toml` has a `[<slug>]` table for each department, `resources.toml` a `[[resource]]` table for each
resource, and `laws.toml`, which may be missing, what laws are called in English.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exchange.catalogue.model import Catalogue, DepartmentSpec, ResourceSpec
from exchange.errors import ExchangeError

DEPARTMENTS_FILE = "departments.toml"
RESOURCES_FILE = "resources.toml"
LAWS_FILE = "laws.toml"


def load(folder: Path) -> Catalogue:
    """The catalogue in `folder`. Raises ExchangeError(E_CATALOGUE) that names file, entry and field.

    The form of each entry is checked here, what entries say about each other by `exchange.catalogue.check`.
    """
    departments = dict(_departments(folder / DEPARTMENTS_FILE))
    resources: dict[str, ResourceSpec] = {}
    for resource in _resources(folder / RESOURCES_FILE):
        if resource.code in resources:
            raise ExchangeError("E_CATALOGUE", f"{RESOURCES_FILE}: resource {resource.code} is there twice")
        resources[resource.code] = resource
    laws = read_toml(folder / LAWS_FILE) if (folder / LAWS_FILE).exists() else {}
    try:
        return Catalogue.model_validate({"departments": departments, "resources": resources, "laws": laws})
    except ValidationError as error:
        raise _wrong(folder / LAWS_FILE, "a law", error) from None


def _departments(path: Path) -> Iterator[tuple[str, DepartmentSpec]]:
    for slug, table in read_toml(path).items():
        if not isinstance(table, dict):
            raise ExchangeError("E_CATALOGUE", f"{path.name}: {slug} is no table")
        try:
            yield slug, DepartmentSpec.model_validate({"slug": slug, **table})
        except ValidationError as error:
            raise _wrong(path, slug, error) from None


def _resources(path: Path) -> Iterator[ResourceSpec]:
    for number, table in enumerate(read_toml(path).get("resource", ()), start=1):
        try:
            yield ResourceSpec.model_validate(table)
        except (ValidationError, ValueError) as error:
            raise _wrong(path, f"resource {number}", error) from None


def _wrong(path: Path, entry: str, error: ValueError) -> ExchangeError:
    if not isinstance(error, ValidationError):
        return ExchangeError("E_CATALOGUE", f"{path.name}: {entry}: {error}")
    problems = "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ")
        for one in error.errors(include_url=False, include_input=False)
    )
    return ExchangeError("E_CATALOGUE", f"{path.name}: {entry}: {problems}")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises ExchangeError(E_CATALOGUE) when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExchangeError("E_CATALOGUE", f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError as error:  # of TOML as well as of UTF-8
        raise ExchangeError("E_CATALOGUE", f"{path.name}: {error}") from None

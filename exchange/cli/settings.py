"""`exchange settings`: every setting with its default and meaning."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr

from exchange.cli import output
from exchange.settings import Settings

_PREFIX = "EXCHANGE_"


def settings(as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text")] = False) -> None:
    """Every setting: the environment variable, its default, its meaning.

    A TOML file named by EXCHANGE_CONFIG works too; the environment comes first.

    Example: `exchange settings --json`
    """
    rows = list(_rows(Settings, _PREFIX))
    if as_json:
        output.show_json(rows)
        return
    for row in rows:
        output.entry(row["setting"], output.cell(row["default"]), row["meaning"])


def _rows(model: type[BaseModel], prefix: str) -> Iterator[dict[str, Any]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        default = field.get_default()
        if isinstance(default, BaseModel):
            yield from _rows(type(default), f"{variable}__")
        else:
            yield {"setting": variable, "default": _text(default), "meaning": field.description or ""}


def _text(default: Any) -> str | None:
    if isinstance(default, SecretStr) or default is None or default == "":
        return None
    return str(default)

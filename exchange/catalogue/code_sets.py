"""Code sets as code: `<schemas>/code-sets/*.toml` with name, version, source and codes with their meanings.

Code sets are data beside the schemas, never Avro enums: all compatibility modes allow changes of enums that would break
slicing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exchange.catalogue.load import read_toml
from exchange.errors import ExchangeError

FOLDER: Final = "code-sets"
"""Where code sets lie in the folder of schemas."""


@dataclass(frozen=True, slots=True)
class CodeSet:
    """A list of codes and what they mean."""

    name: str
    """As the `codeSet` attribute of schemas spells it: the standard's number, or a name of ours."""
    version: str
    title: str
    title_zh: str
    source: str
    meanings: Mapping[str, tuple[str, str]]
    """Code -> (English, Chinese); Chinese is empty where the source has none."""


def read_code_sets(folder: Path) -> dict[str, CodeSet]:
    """All code sets of a folder by name. Raises ExchangeError(E_CATALOGUE) that names the file."""
    found: dict[str, CodeSet] = {}
    for path in sorted(folder.glob("*.toml")):
        code_set = _code_set(path)
        if code_set.name in found:
            raise ExchangeError("E_CATALOGUE", f"{path.name}: {code_set.name} is defined twice")
        found[code_set.name] = code_set
    return found


def load_code_sets(folder: Path) -> Mapping[str, frozenset[str]]:
    """The codes of every code set of a folder, by its name. Raises ExchangeError(E_CATALOGUE) that names the file."""
    return {name: frozenset(code_set.meanings) for name, code_set in read_code_sets(folder).items()}


def _code_set(path: Path) -> CodeSet:
    data = read_toml(path)
    try:
        meanings = {
            _text(code): (_text(entry["en"]), str(entry.get("zh", ""))) for code, entry in data["codes"].items()
        }
        found = CodeSet(
            name=_text(data["name"]),
            version=_text(data["version"]),
            title=_text(data["title"]),
            title_zh=_text(data["titleZh"]),
            source=_text(data["source"]),
            meanings=meanings,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ExchangeError("E_CATALOGUE", f"{path.name} is no code set: {error}") from None
    if not meanings:
        raise ExchangeError("E_CATALOGUE", f"{path.name} holds no codes")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text is missing")
    return value

"""Connectors by name: `<department>.<connector>` is the module `connectors/<department>/<connector>.py`."""

import importlib
import pkgutil
import re
import traceback
from dataclasses import dataclass
from types import ModuleType

from exchange import names
from exchange.connect.declare import Sink, Source
from exchange.errors import ExchangeError
from exchange.names import Department

_PACKAGE = "connectors"
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that was found."""

    name: str
    department: Department
    declaration: Source | Sink


def find(name: str) -> Connector:
    """The connector called `name` (`market-regulation.registrations`).

    Raises ExchangeError(E_CONNECTOR) when there is no such module, it cannot be loaded, or it does not declare exactly
    one source or sink.
    """
    department, name = named(name)
    module = _load(f"{_PACKAGE}.{name.replace('-', '_')}")
    declared = [value for value in vars(module).values() if isinstance(value, Source | Sink)]
    if len(declared) != 1:
        raise ExchangeError("E_CONNECTOR", f"{module.__name__} declares {len(declared)} sources and sinks, not one")
    return Connector(name, department, declared[0])


def named(name: str) -> tuple[Department, str]:
    """Whose the connector called `name` is, and its one name in kebab case; nothing is loaded.

    Raises ExchangeError: E_CONNECTOR for a name of another form, E_NAME_INVALID for a department's.
    """
    owner, dot, what = name.partition(".")
    if not dot or not _NAME.fullmatch(what):
        raise ExchangeError("E_CONNECTOR", "a connector is named <department>.<connector>, both in kebab case")
    return names.department(owner), f"{owner}.{what.replace('_', '-')}"


def of_department(department: Department) -> list[Connector]:
    """Every connector of a department, by name; modules that declare none are no connectors.

    Raises ExchangeError(E_CONNECTOR) for one that cannot be loaded.
    """
    package = _load(f"{_PACKAGE}.{department.replace('-', '_')}")
    found = []
    for module in sorted(one.name for one in pkgutil.iter_modules(package.__path__)):
        held = vars(_load(f"{package.__name__}.{module}")).values()
        if any(isinstance(value, Source | Sink) for value in held):
            found.append(find(f"{department}.{module.replace('_', '-')}"))
    return found


def _load(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise ExchangeError("E_CONNECTOR", f"there is no module {module}") from None
        raise ExchangeError("E_CONNECTOR", f"{module} needs the module {error.name}") from None
    except ExchangeError as error:
        raise ExchangeError("E_CONNECTOR", f"{module}: {error.detail}") from None
    except (Exception, SystemExit) as error:  # the file is the department's: anything may be wrong with it
        raise ExchangeError("E_CONNECTOR", f"{module}: {type(error).__name__}{_line_of(error, module)}") from None


def _line_of(error: BaseException, module: str) -> str:
    """Where in the connector's file it is wrong. Without the exception's text, which may quote what it worked on."""
    own = f"/{module.replace('.', '/')}.py"
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename.endswith(own)]
    if isinstance(error, SyntaxError) and (error.filename or "").endswith(own):
        lines.append(error.lineno)
    return f" in line {lines[-1]}" if lines else ""

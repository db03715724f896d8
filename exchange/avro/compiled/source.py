"""Generated Python source: collects lines, constants and functions, and compiles them once per schema."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exchange.avro.schema import Node, Record

MAX_LEVELS = 64
"""How deep records, arrays and maps may lie in each other in one value."""
_INLINE_LEVELS = 5
"""Deeper containers become functions of their own: Python allows 20 nested blocks."""
_INLINE_RECORDS = 3
_INLINE_FIELDS = 12
"""Records that lie deeper or are larger become functions: written out at every use, code would grow without bound."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where generated lines stand: how far indented, how deep in the source, and how deep in the value."""

    indent: str
    level: int = 0
    """Nesting in the source, counted in types."""
    depth: int = 0
    """Records, arrays and maps around this place within its function; `d`, if there is one, counts those outside."""
    counted: bool = False
    """Whether the function has a parameter `d`. The root function has none and tests nothing up to MAX_LEVELS."""

    def deeper(self, step: int = 1) -> "Place":
        """Inside a branch or loop."""
        return Place(self.indent + " " * step, self.level + 1, self.depth, self.counted)

    def within(self) -> "Place":
        """Inside a record, array or map."""
        return Place(self.indent, self.level, self.depth + 1, self.counted)

    def depth_test(self) -> list[str]:
        """Lines that refuse a record, array or map here when it lies too deep."""
        if self.counted:
            return [f"{self.indent}if d > {MAX_LEVELS - 1 - self.depth}: too_deep()"]
        return [f"{self.indent}too_deep()"] if self.depth >= MAX_LEVELS else []

    def depth_argument(self) -> str:
        """The `d` of a function that is called here."""
        return f"d + {self.depth}" if self.counted else str(self.depth)


class Module:
    """One generated module. Emitters ask it for names; `compile` gives its functions.

    Lines are indented by single spaces, so that an indent is as long as it is deep.
    """

    def __init__(self, environment: dict[str, Any] | None = None) -> None:
        self.environment: dict[str, Any] = {} if environment is None else environment
        self._functions: dict[tuple[str, int], str] = {}
        self._kept: list[Node] = []
        self._sources: list[str] = []
        self._count = 0

    def fresh(self, prefix: str) -> str:
        """A name that no other line uses."""
        self._count += 1
        return f"{prefix}_{self._count}"

    def constant(self, value: Any, prefix: str = "K") -> str:
        """A global name for `value`."""
        name = self.fresh(prefix)
        self.environment[name] = value
        return name

    def function(self, node: Node, purpose: str, write: Callable[[str], list[str]]) -> str:
        """The name of the function for (`purpose`, `node`); at first use `write(name)` gives its source lines."""
        key = (purpose, id(node))
        if key not in self._functions:
            name = self._functions[key] = self.fresh(purpose)
            self._kept.append(node)  # an id stays unique only while its object lives
            self._sources.append("\n".join(write(name)))
        return self._functions[key]

    def add(self, lines: list[str]) -> None:
        """Add top-level source lines."""
        self._sources.append("\n".join(lines))

    @property
    def source(self) -> str:
        """The whole generated source."""
        return "\n\n".join(self._sources) + "\n"

    def compile(self, title: str) -> dict[str, Any]:
        """Run the source that has not run yet; the environment with all functions in it."""
        if self._sources:
            exec(compile(self.source, f"<avro {title}>", "exec"), self.environment)  # noqa: S102 - source of ours
            self._sources.clear()
        return self.environment


def stands_alone(node: Node, level: int) -> bool:
    """Whether code for `node` at nesting `level` becomes a function: recursion, depth, or a large inner record."""
    if isinstance(node, Record):
        return node.recursive or level > _INLINE_RECORDS or (level > 0 and len(node.fields) > _INLINE_FIELDS)
    return level > _INLINE_LEVELS and node.kind in ("array", "map", "union")

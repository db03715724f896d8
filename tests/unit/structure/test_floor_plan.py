"""The floor plan: no circles, small rooms, small modules, and no scaffolding of tests inside the product.

Which way imports point between rooms is import-linter's business (`lint-imports`); this is what its
contracts cannot say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("exchange", "connectors")
MOST_MODULES = 15
MOST_LINES = 400
GRAB_BAGS = {"utils", "helpers", "common", "core", "base", "misc", "manager"}
TEST_TOOLS = {"pytest", "hypothesis", "tests", "schemathesis", "playwright"}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True)


def circle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules of one import circle; empty when there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def modules() -> list[Path]:
    return [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.name != "__init__.py"]


def test_no_import_circle_between_modules(imports: grimp.ImportGraph) -> None:
    own = {module for module in imports.modules if module.partition(".")[0] in PACKAGES}
    edges = {module: imports.find_modules_directly_imported_by(module) & own for module in own}
    assert circle(edges) == []


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_no_room_holds_more_modules_than_a_reader_takes_in() -> None:
    rooms = Counter(file.parent.relative_to(ROOT) for file in modules())
    assert {str(room): count for room, count in rooms.items() if count > MOST_MODULES} == {}


def test_no_module_is_longer_than_a_reader_follows() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in modules()}
    assert {file: length for file, length in lengths.items() if length >= MOST_LINES} == {}


def test_every_room_says_what_lives_there() -> None:
    rooms = {file.parent for file in modules()}
    silent = [room for room in rooms if not (room / "__init__.py").read_text(encoding="utf-8").startswith('"""')]
    assert silent == []


def test_no_module_is_a_grab_bag() -> None:
    assert [file for file in modules() if file.stem in GRAB_BAGS] == []


def test_the_product_holds_no_scaffolding_of_tests(imports: grimp.ImportGraph) -> None:
    importers = {tool: imports.find_modules_that_directly_import(tool) for tool in TEST_TOOLS & imports.modules}
    assert {tool: found for tool, found in importers.items() if found} == {}

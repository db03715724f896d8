"""Pages and docstrings that lead through the code lead somewhere: every file that they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "connectors" / "README.md", *sorted((ROOT / "deploy").rglob("*.md"))]
CODE = [file for folder in ("exchange", "connectors", "tests") for file in sorted((ROOT / folder).rglob("*.py"))]
NAMED = re.compile(r"`((?:exchange|connectors|schemas|deploy|tests)/[\w/.-]+\.[a-z]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert missing_from(page) == []


def test_every_file_that_the_code_names_is_there() -> None:
    assert {str(file.relative_to(ROOT)): missing for file in CODE if (missing := missing_from(file))} == {}


def missing_from(page: Path) -> list[str]:
    return [name for name in NAMED.findall(page.read_text(encoding="utf-8")) if not (ROOT / name).exists()]

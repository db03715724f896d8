"""One browser for all tests of pages: Debian's Chromium (`apt-get install chromium`), or the one named by CHROMIUM."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the extra `browser`, absent in the default run

    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert found is not None, "these tests need a Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()

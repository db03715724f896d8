"""Catalogues of tests: the shipped one, changed where a test needs another rule."""

import shutil
from collections.abc import Callable
from pathlib import Path

from exchange import settings as settings_module
from exchange.catalogue.load import RESOURCES_FILE

_UNCONDITIONAL = '\nsharing = "unconditional"\n'


def with_persons(resources: str) -> str:
    """The text of a resources file in which a person consents also to what is shared without conditions."""
    return resources.replace(_UNCONDITIONAL, f'{_UNCONDITIONAL}consent = "person"\n')


def changed_catalogue(folder: Path, change: Callable[[str], str]) -> Path:
    """The shipped catalogue in `folder`, with `change` made to the text of its resources; the folder."""
    shipped = settings_module.load().catalogue
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
    text = (shipped / RESOURCES_FILE).read_text(encoding="utf-8")
    (folder / RESOURCES_FILE).write_text(change(text), encoding="utf-8")
    return folder

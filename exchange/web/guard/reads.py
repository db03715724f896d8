"""Reads of what is between departments by those who oversee them: one line of the log each, without what was read."""

import re
from collections.abc import Mapping
from typing import Any, Final

from exchange.observe.logs import get_logger

_ID: Final = re.compile(r"[a-z]{1,4}-[0-9]{1,12}")
"""Of demands, grants and corrections. What was asked for under another name may be anything."""
_log = get_logger("exchange.access")


def note_read(caller: str, role: str, path: str, asked: Mapping[str, Any]) -> None:
    """Log who read where. caller: its token or its issuer's subject. asked: the parts of the path that name things."""
    ids = sorted(str(value) for value in asked.values() if _ID.fullmatch(str(value)))
    _log.info("access.read", caller=caller, role=role, path=path, entity=ids[0] if ids else None)

"""Headers that keep other sites, frames, scripts and caches away from the pages."""

import base64
import hashlib
import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = "default-src 'none'; style-src {style}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "content-security-policy": _POLICY.format(style="'self'"),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
    "vary": "Cookie, Accept-Language",
}
"""Of every answer, unless the page says otherwise. Pages of one person are kept by no cache."""
_INLINE: Final = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


class Guarded:
    """Adds the headers that keep other sites, frames, scripts and caches out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; complete the headers of its answer."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)


def with_inline_style(page: Response) -> Response:
    """Let a page that brings its own style use just that."""
    found = _INLINE.search(bytes(page.body))
    if found is not None:
        digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
        page.headers["content-security-policy"] = _POLICY.format(style=f"'sha256-{digest}'")
    return page

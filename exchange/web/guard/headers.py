"""Headers of every answer: they keep scripts, other sites, frames and caches away from what is answered."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = "default-src 'none'; style-src {style}; form-action {forms}; base-uri 'none'; frame-ancestors 'none'"
_EVERY: Final = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
API_HEADERS: Final[Mapping[str, str]] = {
    **_EVERY,
    "content-security-policy": _POLICY.format(style="'none'", forms="'none'"),
    "referrer-policy": "no-referrer",
}
"""Of answers for programs: whatever a browser takes one for, it does nothing with it."""
PAGE_HEADERS: Final[Mapping[str, str]] = {
    **_EVERY,
    "content-security-policy": _POLICY.format(style="'self'", forms="'self'"),
    "referrer-policy": "same-origin",
    "vary": "Cookie, Accept-Language",
}
"""Of pages for people. Pages of one person are kept by no cache; their forms tell this service alone where they come
from, which it asks for: under `no-referrer` browsers send them with the origin `null`."""
_INLINE: Final = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


class Guarded:
    """Completes the headers of every answer."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; complete the headers of its answer, unless the answer says otherwise."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                complete(MutableHeaders(scope=message), self._headers)
            await send(message)

        await self._app(scope, receive, guarded)


def complete(headers: MutableHeaders, with_these: Mapping[str, str]) -> None:
    """Add what is not there. For answers to faults, which come from outside of `Guarded`."""
    for name, value in with_these.items():
        headers.setdefault(name, value)


def with_inline_style(page: Response) -> Response:
    """Let a page that brings its own style use just that."""
    found = _INLINE.search(bytes(page.body))
    if found is not None:
        digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
        page.headers["content-security-policy"] = _POLICY.format(style=f"'sha256-{digest}'", forms="'self'")
    return page

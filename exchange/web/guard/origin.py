"""Whether a browser sent a request for a page of ours. Browsers tell it by headers that no page can change."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from exchange.errors import ExchangeError

_OWN_SITE: Final = ("same-origin", "none")
"""Of `Sec-Fetch-Site`; `none`: the person at the browser did it, no page. Another host of our site is not ours."""
_PORTS: Final = {"http": ":80", "https": ":443"}


def check_origin(request: Request, told: bool) -> None:
    """Raise ExchangeError(E_FORM) when a browser says that a page of another origin sent a request.

    told: whether it must say that, as every browser does of a form that is sent; programs, which have no pages, do not.
    """
    site, origin = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if len(site) > 1 or len(origin) > 1:
        raise ExchangeError("E_FORM")
    if site and site[0] not in _OWN_SITE:
        raise ExchangeError("E_FORM")
    # Pages that tell no address (a referrer policy) have the origin `null`; then Sec-Fetch-Site alone says whose.
    if origin and not (site and origin[0] == "null") and not _is_own(origin[0], request):
        raise ExchangeError("E_FORM")
    if told and not site and not origin:
        raise ExchangeError("E_FORM")


def _is_own(origin: str, request: Request) -> bool:
    """Whether it names the host that was asked; the scheme is the proxy's business, which may end TLS before us."""
    try:
        parts = urlsplit(origin)
        host, scheme = parts.netloc.lower(), parts.scheme
    except ValueError:
        return False
    asked = request.headers.get("host", "").lower()
    return bool(host) and scheme in _PORTS and asked in (host, host + _PORTS[scheme])

"""Paths without a token: whether this process lives, whether it serves, and its metrics. None waits for others.

Metrics have a port of their own (EXCHANGE_METRICS__PORT). Here they are shown to who asks from this machine, and to
nobody who comes through a proxy: departments and their duties are not for everybody to count.
"""

from ipaddress import ip_address

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from exchange.errors import ExchangeError
from exchange.observe import metrics
from exchange.web.service import Service

_SHOWN = {"application/json": {"schema": {"type": "object"}}}
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


class _Exposition(Response):
    media_type = metrics.CONTENT_TYPE


def router(service: Service) -> APIRouter:
    """The paths of health and metrics."""
    api = APIRouter(tags=["health"])
    exposition, one = metrics.Exposition(), CapacityLimiter(1)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @api.get("/readyz", responses={503: {"description": "The ledger is being read", "content": _SHOWN}})
    async def readyz() -> Response:
        """The ledger was read to its end; `role` says whether commands are taken here, `ledger` how far it is read."""
        ready, read = service.ready, service.ledger.progress
        role = "leader" if service.ledger.leader else "follower"
        far = {"events": read.events, "offset": read.offset, "end": read.end}
        said = {"status": "ready" if ready else "starting", "role": role, **({} if ready else {"ledger": far})}
        return JSONResponse(said, 200 if ready else 503)

    @api.get("/metrics", response_class=_Exposition, responses={404: {"description": "Not for who asks from there"}})
    async def shown(request: Request) -> Response:
        """Every metric in Prometheus' text format, as it was less than a second ago; on this machine only."""
        if not _on_this_machine(request):
            raise ExchangeError("E_NOT_FOUND")
        text = await to_thread.run_sync(exposition.text, limiter=one)
        return _Exposition(text, headers={"Content-Type": metrics.CONTENT_TYPE})

    return api


def _on_this_machine(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False

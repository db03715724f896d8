"""Paths without a token: whether this process lives, whether it serves, and its metrics."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from exchange.observe import metrics
from exchange.web.service import Service

_SHOWN = {"application/json": {"schema": {"type": "object"}}}


class _Exposition(Response):
    media_type = metrics.CONTENT_TYPE


def router(service: Service) -> APIRouter:
    """The paths of health and metrics."""
    api = APIRouter(tags=["health"])

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @api.get("/readyz", responses={503: {"description": "The ledger is being read", "content": _SHOWN}})
    def readyz() -> Response:
        """The ledger was read to its end; `role` says whether commands are taken here, `ledger` how far it is read."""
        ready, read = service.ready, service.ledger.progress
        role = "leader" if service.ledger.leader else "follower"
        far = {"events": read.events, "offset": read.offset, "end": read.end}
        said = {"status": "ready" if ready else "starting", "role": role, **({} if ready else {"ledger": far})}
        return JSONResponse(said, 200 if ready else 503)

    @api.get("/metrics", response_class=_Exposition)
    def shown() -> Response:
        """Every metric in Prometheus' text format."""
        service.refresh()
        return _Exposition(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return api

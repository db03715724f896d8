"""Faults as RFC 9457 problem documents with a code of the error table; on the registry's paths in its own format."""

import re
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from exchange.errors import Action, ExchangeError
from exchange.ledger.store.decisions import LedgerQuotaError
from exchange.names import mask_name
from exchange.observe.logs import get_logger
from exchange.web.methods import allowed

PROBLEM = "application/problem+json"
REGISTRY = "application/vnd.schemaregistry.v1+json"
REGISTRY_PATHS = ("/subjects", "/schemas", "/config", "/contexts", "/compatibility", "/mode")

_STATUS = {
    "E_TOKEN": 401,
    "E_ROLE": 403,
    "E_FORM": 403,
    "E_SCHEMAS_ARE_CODE": 403,
    "E_NOT_FOUND": 404,
    "E_UNKNOWN_DEPARTMENT": 404,
    "E_UNKNOWN_RESOURCE": 404,
    "E_UNKNOWN_DEMAND": 404,
    "E_UNKNOWN_GRANT": 404,
    "E_UNKNOWN_SHARE": 404,
    "E_UNKNOWN_QUARANTINED": 404,
    "E_UNKNOWN_CORRECTION": 404,
    "E_DEMAND_DUPLICATE": 409,
    "E_DEMAND_SPLIT": 409,
    "E_DEMAND_STATE": 409,
    "E_GRANT_STATE": 409,
    "E_IDEMPOTENCY": 409,
    "E_PSEUDONYM_BESIDE_CLEAR": 409,
    "E_QUARANTINE_STATE": 409,
    "E_DIGESTS": 409,
    "E_SUCCESSION": 409,
    "E_CORRECTION_STATE": 409,
    "E_METHOD": 405,
    "E_REQUEST_SLOW": 408,
    "E_REQUEST_TOO_LARGE": 413,
    "E_RATE_LIMIT": 429,
    "E_LEDGER_QUOTA": 429,
}
_REFUSED = 422
_UNAVAILABLE = 503
_FAULT = 500
_RETRY_SECONDS = "2"
_REGISTRY_CODES = {401: 40101, 403: 40301, 404: 404, 405: 405, 413: 413, 422: 42201, 429: 42901, 503: 50301}
_NO_METHOD = 405
_FRAMEWORK = {404: "E_NOT_FOUND", _NO_METHOD: "E_METHOD"}
_OUR_NAMES = re.compile(r"[a-z_]{1,32}")
_JSON_WANTED = "content-type: expected with a body is application/json"
_log = get_logger("exchange.web")


class RegistryError(ExchangeError):
    """An error of the registry's paths with the number that its clients know (40401, 40402, 40403, 42201)."""

    def __init__(self, code: str, number: int, detail: str) -> None:
        super().__init__(code, detail)
        self.number = number


class RateLimitError(ExchangeError):
    """A caller's share of requests is used up."""

    def __init__(self, seconds: int) -> None:
        super().__init__("E_RATE_LIMIT")
        self.seconds = seconds
        """After how many seconds it may send again."""


def status_of(error: ExchangeError) -> int:
    """The HTTP status of an error."""
    known = _STATUS.get(error.code)
    if known is not None:
        return known
    if error.entry.action is Action.REFUSE:
        return _REFUSED
    return _UNAVAILABLE if error.entry.action is Action.RETRY or error.code.startswith("E_KAFKA") else _FAULT


def retry_seconds(error: ExchangeError) -> str | None:
    """After how many seconds to try again what failed with `error`; None when nobody can tell."""
    if isinstance(error, RateLimitError | LedgerQuotaError):
        return str(error.seconds)
    return _RETRY_SECONDS if status_of(error) == _UNAVAILABLE else None


def problem(request: Request, error: ExchangeError) -> JSONResponse:
    """The answer to a request that failed with `error`."""
    status = status_of(error)
    headers: dict[str, str] = {}
    of_registry = request.url.path.startswith(REGISTRY_PATHS)
    if status == 401:  # a browser that is offered Basic asks its user for a secret, and shows it ever after
        headers["WWW-Authenticate"] = 'Bearer, Basic realm="exchange"' if of_registry else "Bearer"
    seconds = retry_seconds(error)
    if seconds is not None:
        headers["Retry-After"] = seconds
    if of_registry:
        return _registry(error, status, headers)
    document = {
        "type": f"urn:exchange:error:{error.code}",
        "title": error.entry.meaning,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "advice": error.entry.advice,
    }
    return JSONResponse(document, status, headers, PROBLEM)


def _registry(error: ExchangeError, status: int, headers: Mapping[str, str]) -> JSONResponse:
    number = error.number if isinstance(error, RegistryError) else _REGISTRY_CODES.get(status, status)
    return JSONResponse({"error_code": number, "message": error.detail}, status, headers, REGISTRY)


def install(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Make every fault of `app` a problem document. headers: of answers to faults of ours, which no middleware sees."""

    @app.exception_handler(ExchangeError)
    async def _known(request: Request, error: ExchangeError) -> JSONResponse:
        return problem(request, error)

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        detail = _JSON_WANTED if _is_body_unread(request, error) else _places(error)
        return problem(request, ExchangeError("E_REQUEST", detail))

    @app.exception_handler(HTTPException)
    async def _missing(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(request, ExchangeError(_FRAMEWORK.get(error.status_code, "E_REQUEST")))
        answer.headers.update(error.headers or {})
        if error.status_code == _NO_METHOD:
            answer.headers["Allow"] = allowed(request)
        return answer

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> JSONResponse:
        _log.error("web.fault", path=getattr(request.scope.get("route"), "path", None), exc_info=error)
        answer = problem(request, ExchangeError("E_INTERNAL"))
        answer.headers.update(headers)
        return answer


def _is_body_unread(request: Request, error: RequestValidationError) -> bool:
    """Whether the body was not even taken for JSON, because its header says that it is something else."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type.startswith("application/") and media_type.endswith(("/json", "+json"))
    return not is_json and any(one["loc"] == ("body",) for one in error.errors())


def _places(error: RequestValidationError) -> str:
    """What is wrong where, without the value that was sent. A name that no form of ours has may itself be one."""
    return "; ".join(f"{'.'.join(_part(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())


def _part(part: int | str) -> str:
    return str(part) if isinstance(part, int) or _OUR_NAMES.fullmatch(part) else mask_name(part)

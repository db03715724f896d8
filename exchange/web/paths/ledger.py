"""Paths of the ledger's head, the books and API tokens."""

from typing import Any

from fastapi import APIRouter

from exchange.broker.departments.tokens import DEFAULT_TOKEN_DAYS, IssueToken, RevokeToken, digest, new_token
from exchange.clock import Deadline, format_time
from exchange.web import views
from exchange.web.access import Admitted, AtLeader, Key
from exchange.web.bodies import TokenBody
from exchange.web.paging import LongPageOf, PageOf, answer
from exchange.web.paths.demands import COMMAND_SECONDS
from exchange.web.service import Service


def router(service: Service, token_days: int = DEFAULT_TOKEN_DAYS) -> APIRouter:
    """The paths of head, books and tokens. token_days: lifetime of a token that is issued without one."""
    api = APIRouter(prefix="/v1", tags=["ledger"])
    ledger = service.ledger

    @api.get("/ledger/head")
    def head(_caller: Admitted) -> dict[str, Any]:
        """Sequence number and hash of the last event: publish it, and nobody can cut the ledger's tail unseen."""
        return ledger.read(
            lambda state: {
                "seq": state.seq,
                "hash": state.head,
                "at": None if state.at is None else format_time(state.at),
                "leader": ledger.leader,
            }
        )

    @api.get("/books")
    def books(_caller: Admitted, _leading: AtLeader, page: LongPageOf) -> dict[str, Any]:
        """The books of every record type at admission and of every share at delivery; whether all of them close."""
        accounts = service.books()
        found, following = page.of((f"{one.record_type} {one.share or ''}", one) for one in accounts)
        return {
            **answer([views.account(one) for one in found], following),
            "closed": all(one.difference == 0 for one in accounts),
        }

    @api.get("/tokens")
    def tokens(_caller: Admitted, page: PageOf) -> dict[str, Any]:
        """Every token that was issued, without its text."""
        return ledger.read(
            lambda state: answer(*page.of((one.token, views.token(one)) for one in state.tokens.values()))
        )

    @api.post("/tokens", status_code=201)
    def issue(body: TokenBody, caller: Admitted, key: Key) -> dict[str, Any]:
        """Issue a token. Its text is in this answer and nowhere else; the ledger keeps its SHA-256. It expires."""
        text = new_token()
        command = IssueToken(body.role, body.department, digest(text), body.days or token_days, body.label)
        done = ledger.execute(command, caller.actor, key, Deadline.after(COMMAND_SECONDS))
        shown = ledger.read(lambda state: views.token(state.tokens[done.entities[0]]))
        return {**shown, "token": None if done.repeated else text}

    @api.post("/tokens/{token}/revoke")
    def revoke(token: str, caller: Admitted, key: Key) -> dict[str, Any]:
        """Revoke a token; it is refused from now on."""
        ledger.execute(RevokeToken(token), caller.actor, key, Deadline.after(COMMAND_SECONDS))
        return ledger.read(lambda state: views.token(state.tokens[token]))

    return api

"""`exchange books`: do the books close?"""

from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any

import typer

from exchange.cli.output import entry, heading, say, show_json
from exchange.errors import ExchangeError
from exchange.web.client import connect

_ADMISSION = ("admitted", "unchanged", "superseded", "quarantined")
_SHARE = ("forwarded", "retracted", "out_of_scope", "unchanged", "quarantined")


def books(as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False) -> None:
    """The books per record type (at admission) and per share, and whether they close; exit status 1 when not.

    Example: `exchange books`
    """
    with connect() as api:
        pages = list(api.pages("/v1/books"))
    items = sorted((one for page in pages for one in page["items"]), key=_place)
    answer = {"items": items, "closed": all(page["closed"] for page in pages)}
    if as_json:
        show_json(answer)
    else:
        for record_type, accounts in groupby(items, key=itemgetter("record_type")):
            heading(record_type)
            for account in accounts:
                _show(account)
        say("")
        say("the books close" if answer["closed"] else "the books do NOT close")
    if not answer["closed"]:
        open_ = sum(account["difference"] != 0 for account in items)
        raise ExchangeError("E_BOOKS_OPEN", f"{open_} of {len(items)} sums do not close")


def _place(account: dict[str, Any]) -> tuple[str, str]:
    """Admission of a record type stands before its shares."""
    return account["record_type"], account["share"] or ""


def _still(account: dict[str, Any]) -> str:
    """What is not taken yet; of a share that is filled with what stood before it, how far that is."""
    filling = account["backfilling"]
    if filling is None:
        return f"{account['entries']['in_flight']:,} in flight"
    return f"backfilling: {filling['sent']:,} sent, {filling['remaining']:,} to read, {filling['percent']} % done"


def _show(account: dict[str, Any]) -> None:
    entries, share = account["entries"], account["share"]
    parts = " + ".join(
        f"{entries[name]:,} {name.replace('_', ' ')}"
        for name in (_ADMISSION if share is None else _SHARE)
        if entries.get(name) is not None
    )
    lines = [f"{entries['taken']:,} taken = {parts}", _still(account)]
    if entries.get("expired"):
        lines[-1] += f", {entries['expired']:,} expired"
    if share is not None:
        lines[-1] += f", {account['handed_over']:,} handed over"
    note = "closes" if account["difference"] == 0 else f"does NOT close: {account['difference']:+,}"
    entry("admission" if share is None else f"share {share}", note, *lines)

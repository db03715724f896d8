"""`/docs`: the API for people, made of its OpenAPI document and of the table of rights. No script, no other site."""

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from exchange.broker.departments.tokens import ROLES
from exchange.web.guard.headers import with_inline_style
from exchange.web.guard.rights import right_of

_TEMPLATE: Final = (
    Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("docs.html.jinja")
)  # fmt: skip


def install(app: FastAPI) -> None:
    """Put the page into the application; it shows every path that is there when it is asked for."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        """The API as a page."""
        document = app.openapi()
        text = _TEMPLATE.render(title=document["info"]["title"], text=document["info"]["description"],
                                groups=_groups(document))  # fmt: skip
        return with_inline_style(HTMLResponse(text))


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations under their tags, in the order of the document."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            shown = _shown(method.upper(), path, operation)
            found.setdefault(next(iter(operation.get("tags", ())), ""), []).append(shown)
    return found


def _shown(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    right = right_of(method, path) or right_of(method, path.replace("}", ":path}"))
    who = "anyone, without a token" if right is None else ", ".join(sorted(right.who, key=_order))
    parameters = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    return {
        "method": method,
        "path": path,
        "who": who,
        "text": operation.get("description", operation.get("summary", "")),
        "parameters": parameters,
        "body": "requestBody" in operation,
        "answers": sorted(operation["responses"]),
    }


def _order(who: str) -> tuple[bool, str]:
    return who in ROLES and who != ROLES[0], who

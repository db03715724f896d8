"""Makes the pages: templates that escape everything, words in the reader's language, names instead of slugs."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse

from exchange.calendar import ZONE, last_day
from exchange.catalogue.words import REGISTRIES, Text, source
from exchange.clock import format_time, parse_time
from exchange.ledger.state.ledger_state import LedgerState
from exchange.web.access import Caller
from exchange.web.console.client import Problem
from exchange.web.console.session import PATH, Session
from exchange.web.console.words.errors import ERRORS
from exchange.web.console.words.pages import WORDS
from exchange.web.guard.rights import may
from exchange.web.report.page import percent

LANGUAGES: Final = ("zh", "en")
LANGUAGE_COOKIE: Final = "exchange_language"
_FOLDER: Final = Path(__file__).parent
STYLE: Final = (_FOLDER / "style.css").read_text(encoding="utf-8")
_STYLE_MARK: Final = hashlib.sha256(STYLE.encode()).hexdigest()[:12]
_PLACES: Final = {
    "": "/v1/satisfaction",
    "demands": "/v1/demands",
    "grants": "/v1/grants",
    "corrections": "/v1/corrections",
    "catalogue": "/v1/resources",
    "books": "/v1/books",
    "report": "/v1/report",
    "quarantine": "/v1/quarantine",
}
"""Where the navigation leads, and the path of the API that the page shows."""
_UNKNOWN_OUTCOME: Final = 500
"""From this status on a command may have been done: the form keeps its idempotency key."""
_ACCEPTED: Final = re.compile(r"\s*(zh|en)\b[^,;]*(?:;\s*q=([^,;]*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, and in which language."""

    lang: str
    session: Session | None = None
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A form that was sent and not taken: it is shown again as it was filled in."""

    form: str
    problem: Problem
    posted: Mapping[str, list[str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Names:
    """What departments and resources are called."""

    departments: Mapping[str, Text]
    resources: Mapping[str, Text]

    @classmethod
    def of(cls, state: LedgerState) -> "Names":
        """The names in the ledger; the other language's where one is missing."""
        return cls(
            {slug: Text(one.name or slug, one.name_en or one.name or slug) for slug, one in state.departments.items()},
            {code: Text(one.name or code, one.name_en or one.name or code) for code, one in state.resources.items()},
        )


NO_NAMES: Final = Names({}, {})


def language_of(request: Request) -> str:
    """The language of a page: asked for, kept, or the first of the browser's that there is; Chinese otherwise."""
    for found in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if found in LANGUAGES:
            return str(found)
    accepted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(","):
        match = _ACCEPTED.match(part)
        if match is not None:
            accepted.append((_quality(match[2]), match[1].lower()))
    return max(accepted, key=lambda one: one[0])[1] if accepted else LANGUAGES[0]


def _quality(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0


def show(
    request: Request, look: Look, template: str, *, names: Names = NO_NAMES, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page. `path`: where it stands, when it answers a form; `failure`: what came of that form."""
    path = context.pop("path", request.url.path)
    failure: Failure | None = context.pop("failure", None)
    asked = {name: value for name, value in request.query_params.items() if name not in ("lang", "signed", "done")}
    if request.method != "GET":
        asked = {}
    other = LANGUAGES[1 - LANGUAGES.index(look.lang)]
    text = _ENVIRONMENT.get_template(f"{template}.html.jinja").render(
        {
            "lang": look.lang,
            "caller": look.caller,
            "proof": "" if look.session is None else look.session.form_proof,
            "names": names,
            "places": [] if look.caller is None else places_of(look.caller),
            "here": path.removeprefix(f"{PATH}/").split("/")[0],
            "other_language": _address(path, {**asked, "lang": other}),
            "first_page": _address(path, {name: one for name, one in asked.items() if name != "cursor"}),
            "next_page": lambda cursor: _address(path, {**asked, "cursor": cursor}),
            "paged": "cursor" in asked,
            "asked": {name: asked.get(name, "") for name in _FILTERS},
            "failed": "" if failure is None else failure.form,
            "refused": None if failure is None else failure.problem,
            "posted": {} if failure is None else failure.posted,
            "key_of": lambda form: _key_of(form, failure),
            "done": "",
            "now": None,
            "style_mark": _STYLE_MARK,
            **context,
        }
    )
    response = HTMLResponse(text, status)
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, look.lang, max_age=31_536_000, path=PATH, httponly=True, samesite="lax")
    return response


_FILTERS: Final = (
    "state", "demander", "provider", "registry", "overdue", "record_type", "active", "ends_within_days", "must_dispose",
    "grant",
)  # fmt: skip
"""What the lists can be asked for, as the API names it."""


def asked_of(request: Request, *names: str) -> dict[str, str]:
    """What a list is asked for. A choice that was left open is not asked for."""
    return {name: value for name in (*names, "cursor") if (value := request.query_params.get(name))}


def departments(names: Names, lang: str) -> list[tuple[str, str]]:
    """Departments to choose from: (slug, name), by name."""
    return sorted(((slug, getattr(one, lang)) for slug, one in names.departments.items()), key=lambda one: one[1])


def registries(lang: str) -> list[tuple[str, str]]:
    """Registries to choose from."""
    return [(slug, getattr(one, lang)) for slug, one in REGISTRIES.items()]


def words(lang: str, family: str, names: list[str]) -> list[tuple[str, str]]:
    """Things to choose from, with the words of `family`."""
    return [(name, getattr(WORDS[f"{family}.{name}"], lang)) for name in names]


def places_of(caller: Caller) -> list[str]:
    """Where the navigation leads: what the API has for the caller's role."""
    return [place for place, path in _PLACES.items() if may(caller.role, "GET", path)]


def _address(path: str, asked: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(asked)}" if asked else path


def _key_of(form: str, failure: Failure | None) -> str:
    """The idempotency key of a form: a double click does nothing twice, and neither does a second try."""
    if failure is not None and failure.form == form and failure.problem.status >= _UNKNOWN_OUTCOME:
        kept = next(iter(failure.posted.get("key", ())), "")
        if kept:
            return kept
    return uuid.uuid4().hex


# what templates can say


@pass_context
def _t(context: Context, key: str, **values: Any) -> str:
    words: str = getattr(WORDS[key], context["lang"])
    return words.format(**values) if values else words


@pass_context
def _named(context: Context, slug: str) -> str:
    names: Names = context["names"]
    return str(getattr(names.departments.get(slug, Text(slug, slug)), context["lang"]))


@pass_context
def _resource(context: Context, code: str | None, record_type: str) -> str:
    names: Names = context["names"]
    found = names.resources.get(code or "", Text(record_type, record_type))
    return str(getattr(found, context["lang"]))


@pass_context
def _registry(context: Context, slug: str) -> str:
    return str(getattr(REGISTRIES.get(slug, Text(slug, slug)), context["lang"]))


@pass_context
def _actor(context: Context, name: str) -> str:
    key = f"role.{name}"
    return str(getattr(WORDS[key], context["lang"])) if key in WORDS else _named(context, name)


@pass_context
def _ended(context: Context, reason: str | None) -> str:
    key = f"end.{reason}"
    return str(getattr(WORDS[key], context["lang"])) if key in WORDS else reason or ""


@pass_context
def _wrong(context: Context, problem: Problem) -> Mapping[str, str]:
    """Meaning and advice of an error: in Chinese where they are translated, else as the table of errors has them."""
    if context["lang"] == "zh" and problem.code in ERRORS:
        meaning, advice = ERRORS[problem.code]
        return {"meaning": meaning, "advice": advice}
    return {"meaning": problem.meaning, "advice": problem.advice}


def _moment(text: str | datetime) -> str:
    """A moment as the clocks of Beijing show it, to the minute."""
    moment = parse_time(text) if isinstance(text, str) else text
    try:
        return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
    except OverflowError:  # of the last hours of the year 9999: that has no year there
        return str(text)


def _until(text: str) -> str:
    """The end of a period as people say it: its last day; when it ends within a day, the moment."""
    day = last_day(parse_time(text))
    return _moment(text) if day is None else str(day)


def _number(value: float) -> str:
    return f"{value:,}"


def _span(seconds: int, lang: str) -> str:
    """A length of time in its largest whole unit."""
    for unit, size in ((Text("天", "day"), 86_400), (Text("小时", "hour"), 3600), (Text("分钟", "minute"), 60)):
        if seconds and seconds % size == 0:
            number = seconds // size
            return f"{number}{unit.zh}" if lang == "zh" else f"{number} {unit.en}{'' if number == 1 else 's'}"
    return f"{seconds}秒" if lang == "zh" else f"{seconds} s"


def _law(text: str, lang: str) -> str:
    """A standard or law as the catalogue names it, its articles in the language of the page."""
    return str(getattr(source(text, {}), lang))


def now_text(moment: datetime) -> str:
    """A moment as templates take it."""
    return format_time(moment.astimezone(UTC))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, moment=_moment, until=_until, number=_number, span=_span, law=_law)
    environment.globals.update(
        t=_t,
        has=WORDS.__contains__,
        named=_named,
        resource=_resource,
        registry=_registry,
        actor=_actor,
        ended=_ended,
        wrong=_wrong,
    )
    return environment


_ENVIRONMENT: Final = _environment()

"""The forms for the steps of demands, grants, corrections and resources: who is offered them when, and what they send.

Who may do what is said by the table of rights that the API asks too, in which state by `exchange.broker.demands.life`;
beyond that a form is left out where its command would be refused anyway. A form sends what the command of the API
takes, and the API decides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from exchange.broker.demands.dispute import LEVELS, OUTCOMES
from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS, Step
from exchange.broker.demands.state import acts_for
from exchange.errors import ExchangeError
from exchange.ledger.state.correction import ANSWERS
from exchange.ledger.state.ledger_state import LedgerState
from exchange.moments import day
from exchange.names import Department
from exchange.web.access import Caller
from exchange.web.guard.rights import OPERATOR, RIGHTS, SUPERVISOR, Right

Posted = Mapping[str, Sequence[str]]
"""A form as the browser sent it."""
View = Mapping[str, Any]
"""A demand, grant, correction or resource as the API shows it."""
FIRST, PLAIN, GRAVE = "first", "plain", "grave"
"""How much a step weighs: what is expected next; what may be done; what cannot be taken back."""
_HOUR_SECONDS: Final = 3600
_BEIJING: Final = "T00:00:00+08:00"
_MOST_CONDITIONS: Final = 2
AS_ASKED: Final = "as-asked"
"""In the place of a mask, in an amendment: the field is to be given as it was asked for."""
_COMMAS: Final = str.maketrans(dict.fromkeys("，、;；\n", ","))


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that a form asks for."""

    name: str
    """Of the field in the form; its words are those of `input.<name>`."""
    kind: str
    """`line`, `long`, `lines`, `days`, `hours`, `first-day`, `last-day`, `choice`, `fields` or `scope`."""
    required: bool = False
    choices: tuple[str, ...] = ()
    masked: bool = False
    """Whether fields are chosen with masks."""
    sent_as: str | None = None
    """Member of the command, when it has another name."""


def _always(_view: View, _parties: frozenset[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Form:
    """A form for one step."""

    name: str
    inputs: tuple[Input, ...]
    right: Right
    """Who may send it."""
    step: Step | None = None
    """Its row of the life's table; None for what has none there."""
    path: tuple[str, ...] = ()
    """The last parts of its path of the API."""
    weight: str = PLAIN
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What it sends whatever is entered."""
    fits: Callable[[View, frozenset[str]], bool] = _always
    """Whether its command can be taken now, beside what the table says."""

    def offered(self, view: View, parties: frozenset[str]) -> bool:
        """Whether a caller who stands for `parties` is offered it."""
        in_time = self.step is None or view["state"] in self.step.states
        return in_time and not parties.isdisjoint(self.right.who) and self.fits(view, parties)

    def body(self, posted: Posted) -> dict[str, Any]:
        """What the API's command takes. Raises ExchangeError(E_REQUEST) for what is no number or no date."""
        found: dict[str, Any] = dict(self.fixed)
        for one in self.inputs:
            value = _READ[one.kind](posted, one)
            if value is not None:
                found[one.sent_as or one.name] = value
            if one.masked:
                found["masks"] = _masks(posted, found.get("fields", ()))
        return found


def parties(state: LedgerState, caller: Caller, demander: str, provider: str | None) -> frozenset[str]:
    """What a caller is in a matter between two departments, in the words of the life's table."""
    if caller.department is None:
        return frozenset({SUPERVISOR, OPERATOR} & {caller.role})
    found = set()
    if acts_for(state, caller.department, Department(demander)):
        found |= {"demander", "grantee"}
    if provider is not None and acts_for(state, caller.department, Department(provider)):
        found.add("provider")
    return frozenset(found)


def offered(forms: Mapping[str, Form], view: View, standing: frozenset[str]) -> list[Form]:
    """The forms that a caller is offered now."""
    return [form for form in forms.values() if form.offered(view, standing)]


# what a form sends


def _text(posted: Posted, one: Input) -> str | None:
    text = next(iter(posted.get(one.name, ())), "").replace("\r\n", "\n").strip()
    return text if text or one.required else None


def _lines(posted: Posted, one: Input) -> list[str] | None:
    return [line.strip() for line in (_text(posted, one) or "").split("\n") if line.strip()]


def _whole(posted: Posted, one: Input) -> int | None:
    text = _text(posted, one)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ExchangeError("E_REQUEST", f"{one.name}: a whole number")
    return int(text)


def _seconds(posted: Posted, one: Input) -> int | None:
    hours = _whole(posted, one)
    return None if hours is None else hours * _HOUR_SECONDS


def _first_day(posted: Posted, one: Input) -> str | None:
    return _midnight(posted, one, timedelta())


def _last_day(posted: Posted, one: Input) -> str | None:
    """A period ends when its last day is over."""
    return _midnight(posted, one, timedelta(days=1))


def _midnight(posted: Posted, one: Input, later: timedelta) -> str | None:
    text = _text(posted, one)
    if not text:
        return None
    try:
        return f"{day(text) + later}{_BEIJING}"
    except (ValueError, OverflowError):
        raise ExchangeError("E_REQUEST", f"{one.name}: a date, as 2026-12-31") from None


def _fields(posted: Posted, one: Input) -> list[str] | None:
    found = list(posted.get(one.name, ()))
    return found if found or one.required else None


def _scope(posted: Posted, one: Input) -> list[dict[str, Any]] | None:
    found = []
    for place in range(_MOST_CONDITIONS):
        name, operator, text = (
            _text(posted, Input(f"{one.name}.{place}.{part}", "line")) for part in ("field", "operator", "values")
        )
        if name:
            values = [text or ""] if operator != "in" else (text or "").translate(_COMMAS).split(",")
            kept = [value.strip() for value in values if value.strip()]
            found.append({"field": name, "operator": operator or "equals", "values": kept})
    return found or None


def _masks(posted: Posted, fields: Sequence[str]) -> dict[str, str | None]:
    found = {name: _text(posted, Input(f"mask.{name}", "line")) for name in fields}
    return {name: None if mask == AS_ASKED else mask for name, mask in found.items() if mask}


_READ: Final[Mapping[str, Callable[[Posted, Input], Any]]] = {
    "line": _text,
    "long": _text,
    "lines": _lines,
    "choice": _text,
    "days": _whole,
    "hours": _seconds,
    "first-day": _first_day,
    "last-day": _last_day,
    "fields": _fields,
    "scope": _scope,
}


# when a form fits


def _in_turn(view: View, standing: frozenset[str]) -> bool:
    """In review the competent department has the demand before it, afterwards the provider."""
    return (SUPERVISOR in standing) is bool(view["state"] == "in-review")


def _may_ask_for_time(view: View, standing: frozenset[str]) -> bool:
    return "provider" in standing and view["extension"] is None and _in_time(view)


def _may_give_time(view: View, standing: frozenset[str]) -> bool:
    asked = view["extension"]
    return SUPERVISOR in standing and (asked is None or asked["given"] is None) and _in_time(view)


def _in_time(view: View) -> bool:
    reply = view["clocks"]["reply"]
    return bool(reply is not None and not reply["overdue"])


def _open_dispute(view: View) -> Mapping[str, Any] | None:
    dispute: Mapping[str, Any] | None = view["dispute"]
    return None if dispute is None or dispute["settled"] is not None else dispute


def _may_escalate(view: View, _standing: frozenset[str]) -> bool:
    dispute = _open_dispute(view)
    return dispute is not None and dispute["level"] != LEVELS[-1]


def _may_suspend(view: View, standing: frozenset[str]) -> bool:
    return ("provider" if "provider" in standing else "overseer") not in view["suspended_by"]


def _may_resume(view: View, standing: frozenset[str]) -> bool:
    """An overseer ends only what overseers began."""
    return "overseer" in view["suspended_by"] or ("provider" in standing and "provider" in view["suspended_by"])


_REASON: Final = Input("reason", "long", required=True)
_MISSING: Final = Input("missing", "lines", required=True)
_MASKED: Final = Input("fields", "fields", required=True, masked=True)
_SCOPE: Final = Input("scope", "scope")
MODES: Final = ("batch-exchange", "file-download")
"""How records come (Order 809, art. 22): of its three, those that the exchange has."""

_STATED: Final = (
    Input("legal_basis", "long"),
    Input("scenario", "long"),
    Input("use_scope", "line"),
    Input("mode", "choice", choices=MODES),
)
_UNTIL: Final = Input("use_until", "last-day")


def _named(*forms: Form) -> Mapping[str, Form]:
    return {form.name: form for form in forms}


def _post(path: str) -> Right:
    return RIGHTS[("POST", path)]


def _demand(name: str, *inputs: Input, like: str | None = None, **more: Any) -> Form:
    """The form of a step on a demand; `like` names its row of the table when that has another name."""
    settings = {"path": (like or name,), **more}
    right = _post(f"/v1/demands/{{demand}}/{'/'.join(settings['path'])}")
    return Form(name, inputs, right, DEMAND_STEPS[like or name], **settings)


def _grant(name: str, *inputs: Input, **more: Any) -> Form:
    settings = {"path": (name,), **more}
    right = _post(f"/v1/grants/{{grant}}/{'/'.join(settings['path'])}")
    return Form(name, inputs, right, GRANT_STEPS[name], **settings)


DEMAND: Final[Mapping[str, Form]] = _named(
    _demand(
        "consent",
        _MASKED,
        _SCOPE,
        Input("conditions", "long"),
        Input("until", "last-day"),
        Input("freshness_hours", "hours", sent_as="freshness_seconds"),
        weight=FIRST,
    ),
    _demand("refuse", _REASON, Input("legal_basis", "line"), weight=GRAVE),
    _demand("review", Input("note", "long"), fixed={"passed": True}, weight=FIRST),
    _demand("send-back", _MISSING, Input("note", "long"), like="review", fixed={"passed": False}),
    _demand("supplement", *_STATED, Input("answer", "long"), Input("fields", "fields", masked=True), weight=FIRST),
    _demand("request-supplement", _MISSING, fits=_in_turn),
    _demand("extend", Input("days", "days", required=True), _REASON, fits=_may_ask_for_time),
    _demand("give-extension", Input("days", "days"), Input("reason", "long"), like="extend", fits=_may_give_time),
    _demand(
        "renew",
        _UNTIL,
        Input("legal_basis", "long"),
        fits=lambda view, _: view["use_until"] is not None,
    ),
    _demand("dispute", Input("grounds", "long", required=True), fits=lambda view, _: _open_dispute(view) is None),
    _demand("escalate", _REASON, path=("dispute", "escalate"), fits=_may_escalate),
    _demand(
        "settle",
        Input("outcome", "choice", required=True, choices=OUTCOMES),
        _REASON,
        path=("dispute", "settle"),
        fits=lambda view, _: _open_dispute(view) is not None,
    ),
    _demand("withdraw", Input("reason", "long"), weight=GRAVE),
)
"""On the page of a demand."""
GRANT: Final[Mapping[str, Form]] = _named(
    _grant(
        "confirm-disposal",
        Input("how", "long", required=True),
        weight=FIRST,
        fits=lambda view, _: bool(view["must_dispose"]),
    ),
    _grant("resume", weight=FIRST, fits=_may_resume),
    _grant(
        "record-use",
        Input("scenario", "long", required=True),
        Input("process", "long", required=True),
        Input("effect", "long"),
        Input("storage", "long"),
        path=("uses",),
    ),
    Form(
        "doubt",
        (
            Input("record", "line", required=True, sent_as="key"),
            Input("fields", "fields", required=True),
            Input("doubt", "long", required=True, sent_as="words"),
        ),
        _post("/v1/corrections"),
        fits=lambda view, _: view["ended"] is None and not view["pseudonymous"],
    ),
    _grant("suspend", _REASON, fits=_may_suspend),
    _grant("amend", _MASKED, _SCOPE, Input("freshness_hours", "hours", sent_as="freshness_seconds"), _REASON),
    Form(
        "recover",
        (),
        _post("/v1/grants/{grant}/recover"),
        path=("recover",),
        fits=lambda view, _: view["share_suspended"] is not None,
    ),
    _grant("end-purpose", _REASON, weight=GRAVE),
    _grant("revoke", _REASON, weight=GRAVE),
)
"""On the page of a grant."""
CORRECTION: Final[Mapping[str, Form]] = _named(
    Form(
        "answer",
        (
            Input("finding", "choice", required=True, choices=ANSWERS, sent_as="answer"),
            Input("words", "long"),
        ),
        _post("/v1/corrections/{correction}/answer"),
        path=("answer",),
        weight=FIRST,
        fits=lambda view, _: view["answered"] is None,
    ),
)
"""On the page of a correction."""
RESOURCE: Final[Mapping[str, Form]] = _named(
    Form(
        "submit",
        (
            _MASKED,
            _SCOPE,
            Input("legal_basis", "long", required=True),
            Input("scenario", "long", required=True),
            Input("use_scope", "line", required=True),
            Input("mode", "choice", required=True, choices=MODES),
            Input("use_from", "first-day"),
            _UNTIL,
            Input("freshness_hours", "hours", sent_as="freshness_seconds"),
            Input("replaces", "line"),
        ),
        _post("/v1/demands"),
        weight=FIRST,
        fits=lambda view, _: not view["withdrawn"],
    ),
)
"""On the page of a resource, for a department that is not its provider."""
EVERY: Final[Mapping[str, Form]] = {**DEMAND, **GRANT, **CORRECTION, **RESOURCE}
"""Every form by its name."""

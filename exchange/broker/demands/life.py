"""The life of a demand and of a grant: which command is taken in which state. One table; the commands ask it.

`exchange demand life` prints it, and deploy/demand-life.md holds what it prints.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.state import demand_of, demand_state, grant_of, grant_state
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, GrantEntry, LedgerState
from exchange.ledger.store.command import Draft

INCOMPLETE, SUBMITTED, UNMATCHED, IN_REVIEW = (
    DemandState.INCOMPLETE,
    DemandState.SUBMITTED,
    DemandState.UNMATCHED,
    DemandState.IN_REVIEW,
)
CONSENTED, ACTIVATING, SERVING, BREACHED, SUSPENDED = (
    DemandState.CONSENTED,
    DemandState.ACTIVATING,
    DemandState.SERVING,
    DemandState.BREACHED,
    DemandState.SUSPENDED,
)
REFUSED, ENDED, WITHDRAWN = DemandState.REFUSED, DemandState.ENDED, DemandState.WITHDRAWN
GRANTED = (CONSENTED, ACTIVATING, SERVING, BREACHED, SUSPENDED)
"""A demand with a grant that has not ended; the states of such a grant."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command: who may give it, in which states it is taken, and what it says in the ledger."""

    who: str
    states: frozenset[DemandState]
    event: str
    meaning: str


def _step(who: str, states: tuple[DemandState, ...], event: str, meaning: str) -> Step:
    return Step(who, frozenset(states), event, meaning)


_ALL = tuple(DemandState)
_ANSWERABLE = (SUBMITTED, REFUSED, *GRANTED, ENDED)

DEMAND_STEPS: Mapping[str, Step] = {
    "supplement": _step(
        "demander",
        (INCOMPLETE, SUBMITTED, UNMATCHED, IN_REVIEW),
        "demand-supplemented",
        "add what is missing or was asked for",
    ),
    "request-supplement": _step(
        "provider or supervisor", (SUBMITTED, IN_REVIEW), "supplement-requested", "ask for more, all at once"
    ),
    "review": _step("supervisor", (IN_REVIEW,), "demand-reviewed", "pass a demand on to its provider, or send it back"),
    "consent": _step("provider", (SUBMITTED,), "demand-consented", "grant all or some of it"),
    "refuse": _step("provider", (SUBMITTED,), "demand-refused", "refuse, with a reason"),
    "extend": _step(
        "provider, then supervisor",
        (SUBMITTED,),
        "extension-requested, then reply-extended",
        "reply later, once, by at most 10 working days",
    ),
    "withdraw": _step(
        "demander",
        tuple(state for state in _ALL if state is not WITHDRAWN),
        "demand-withdrawn",
        "take it back; its grants end",
    ),
    "renew": _step("demander", GRANTED, "demand-submitted", "ask for the time after the use period"),
    "dispute": _step(
        "demander or provider", _ANSWERABLE, "dispute-opened", "disagree: the competent department hears of it"
    ),
    "escalate": _step(
        "demander, provider or supervisor", _ANSWERABLE, "dispute-escalated", "take an open dispute one level up"
    ),
    "settle": _step("supervisor", _ANSWERABLE, "dispute-settled", "end an open dispute, with its outcome"),
}
"""The commands on a demand that exists. `submit` makes one."""

GRANT_STEPS: Mapping[str, Step] = {
    "suspend": _step("provider, supervisor or operator", GRANTED, "grant-suspended", "stop it for a while"),
    "resume": _step(
        "provider, supervisor or operator",
        GRANTED,
        "grant-resumed",
        "end the own suspension; its provider an overseer's too",
    ),
    "amend": _step(
        "provider, supervisor or operator",
        GRANTED,
        "grant-amended",
        "give other fields, masks or rows; an overseer only less",
    ),
    "revoke": _step("provider, supervisor or operator", GRANTED, "grant-ended", "end it for good"),
    "end-purpose": _step("grantee", GRANTED, "grant-ended", "say that its purpose is met or gone"),
    "record-use": _step(
        "grantee", (*GRANTED, ENDED), "use-recorded", "record scenario, process, effect and storage of the use"
    ),
    "confirm-disposal": _step("grantee", (ENDED,), "data-disposed", "confirm that what had been taken was disposed of"),
}
"""The commands on a grant, by its own state."""


def demand_for(step: str, state: LedgerState, demand: str, now: datetime) -> DemandEntry:
    """The demand, when the table lets `step` happen to it. Raises ExchangeError: E_UNKNOWN_DEMAND, E_DEMAND_STATE."""
    found = demand_of(state, demand)
    current = demand_state(state, found, now)
    if current not in DEMAND_STEPS[step].states:
        raise ExchangeError("E_DEMAND_STATE", f"{step}: the demand is {current.value}")
    return found


def grant_for(step: str, state: LedgerState, grant: str) -> GrantEntry:
    """The grant, when the table lets `step` happen to it. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE."""
    found = grant_of(state, grant)
    current = grant_state(found)
    if current not in GRANT_STEPS[step].states:
        raise ExchangeError("E_GRANT_STATE", f"{step}: the grant is {current.value}")
    return found


def say_goes_on(draft: Draft, grant: GrantEntry, by: str, ended: Collection[str]) -> None:
    """Say that `by` ends the suspensions of a grant by the parties `ended`: whoever else has suspended it still does.

    `grant-resumed` says that nobody does any more.
    """
    if grant.suspensions.keys() <= set(ended):
        draft.say("grant-resumed", grant.grant, grant=grant.grant, by=by)
        return
    for party in (one for one in grant.suspensions if one in ended):
        draft.say("suspension-lifted", grant.grant, grant=grant.grant, by=by, of=party)


def described() -> str:
    """Both tables as Markdown, a column for each state."""
    return (
        "# The life of a demand\n\nWritten by `exchange demand life --markdown`. A dot: the command is taken in that"
        f" state. `submit` makes a demand.\n\n{_table(DEMAND_STEPS, _ALL)}\n"
        f"## Of a grant, by its own state\n\n{_table(GRANT_STEPS, (*GRANTED, ENDED))}"
    )


def _table(steps: Mapping[str, Step], states: tuple[DemandState, ...]) -> str:
    heads = ["command", *(state.value for state in states), "who", "event", "what it does"]
    rows = [heads, ["---"] * len(heads)]
    for name, step in steps.items():
        dots = ["•" if state in step.states else "" for state in states]
        rows.append([f"`{name}`", *dots, step.who, step.event, step.meaning])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)

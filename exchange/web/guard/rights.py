"""Who may do what: one table of every path of the API. The API asks it, the console asks it, and a page shows it.

What it does not name nobody may do. Who is allowed a step of a demand or a grant stands with the step's states in
`exchange.broker.demands.life`, and is taken from there. `exchange token rights` prints the table, and
deploy/who-may-do-what.md holds what it prints.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS, Step
from exchange.broker.departments.tokens import DEPARTMENT_ROLE, ROLES
from exchange.web.problems import REGISTRY_PATHS

SUPERVISOR: Final = "supervisor"
OPERATOR: Final = "operator"
AUDITOR: Final = "auditor"
COLUMNS: Final = ("path", DEPARTMENT_ROLE, SUPERVISOR, OPERATOR, AUDITOR, "what")
_AS_PARTY: Final = ("demander", "provider", "grantee")
_WORD: Final = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Right:
    """Who may use one path."""

    who: frozenset[str]
    """Roles; instead of `department` what a department must be in the matter: demander, provider or grantee."""
    what: str
    of_others: bool = False
    """Whether an overseer reads there what is between departments: such a read is logged."""

    def allows(self, role: str) -> bool:
        """Whether a caller of this role comes in; which department it must be, its command says."""
        return role in self.who or (role == DEPARTMENT_ROLE and not self.who.isdisjoint(_AS_PARTY))


def _right(who: str, what: str, of_others: bool = False) -> Right:
    return Right(frozenset(_WORD.findall(who)) & {*ROLES, *_AS_PARTY}, what, of_others)


def _everyone(what: str) -> Right:
    return Right(frozenset(ROLES), what)


def _overseen(what: str, who: str = "demander, provider, supervisor, operator, auditor") -> Right:
    return _right(who, what, of_others=True)


def _of(step: Step) -> Right:
    return _right(step.who, step.meaning)


_OVERSEERS: Final = "supervisor, operator, auditor"
_REGISTRY: Final = _everyone("look up schemas; of shares only those that one has asked for, gives or oversees")
_DEMAND: Final = "/v1/demands/{demand}"
_GRANT: Final = "/v1/grants/{grant}"
_PATH_OF: Final = {"escalate": "dispute/escalate", "settle": "dispute/settle", "record-use": "uses"}
"""Of steps whose path has another name."""

RIGHTS: Final[Mapping[tuple[str, str], Right]] = {
    ("GET", "/v1/departments"): _everyone("list departments"),
    ("GET", "/v1/departments/{department}"): _everyone("see a department"),
    ("POST", "/v1/departments"): _right(OPERATOR, "make a department a Kafka principal"),
    ("POST", "/v1/departments/{department}/rotate-secret"): _right(OPERATOR, "give a department a new secret"),
    ("GET", "/v1/departments/{department}/succession"): _right(_OVERSEERS, "see what its end means for demands"),
    ("POST", "/v1/departments/{department}/succeed"): _right("supervisor or operator", "decide who goes on with it"),
    ("GET", "/v1/resources"): _everyone("list what departments offer"),
    ("GET", "/v1/resources/{resource:path}"): _everyone("see a resource"),
    ("GET", "/v1/record-types"): _everyone("list record types"),
    ("POST", "/v1/catalogue"): _right(OPERATOR, "bring the catalogue's files into the ledger"),
    ("POST", "/v1/demands"): _right(DEPARTMENT_ROLE, "submit a demand, or several at once"),
    ("GET", "/v1/demands"): _overseen("list demands; a department those that concern it"),
    ("GET", _DEMAND): _overseen("see a demand"),
    **{("POST", f"{_DEMAND}/{_PATH_OF.get(name, name)}"): _of(step) for name, step in DEMAND_STEPS.items()},
    ("GET", "/v1/grants"): _overseen("list grants; a department those that concern it"),
    ("GET", _GRANT): _overseen("see a grant"),
    **{("POST", f"{_GRANT}/{_PATH_OF.get(name, name)}"): _of(step) for name, step in GRANT_STEPS.items()},
    ("POST", f"{_GRANT}/recover"): _right(OPERATOR, "mend its suspended share"),
    ("GET", f"{_GRANT}/uses"): _overseen("read what the grantee recorded of the use"),
    ("GET", f"{_GRANT}/digests"): _right("grantee or provider", "compare tables by digests"),
    ("GET", "/v1/corrections"): _overseen("list corrections; a department those that concern it"),
    ("GET", "/v1/corrections/{correction}"): _overseen("see a correction; its key and words the two parties alone"),
    ("POST", "/v1/corrections"): _right("grantee", "doubt a record"),
    ("POST", "/v1/corrections/{correction}/answer"): _right("provider", "answer a doubt"),
    ("GET", "/v1/quarantine"): _overseen("list what waits in quarantine; a department its own", "provider or operator"),
    ("GET", "/v1/quarantine/{department}/{partition}/{offset}"): _overseen(
        "see why a record waits, and its form", "provider or operator"
    ),
    ("POST", "/v1/quarantine/redrive"): _right("provider or operator", "let waiting records pass admission again"),
    ("POST", "/v1/quarantine/discard"): _right("provider or operator", "say that waiting records are not needed"),
    ("GET", "/v1/satisfaction"): _everyone("the rate"),
    ("GET", "/v1/report"): _right(_OVERSEERS, "the report on a year"),
    ("GET", "/v1/books"): _overseen("whether every record is accounted for", _OVERSEERS),
    ("GET", "/v1/ledger/head"): _everyone("the ledger's last event"),
    ("GET", "/v1/tokens"): _right(OPERATOR, "list tokens"),
    ("POST", "/v1/tokens"): _right(OPERATOR, "issue a token"),
    ("POST", "/v1/tokens/{token}/revoke"): _right(OPERATOR, "revoke a token"),
}
"""By method and path, as the paths themselves say it."""


def right_of(method: str, path: str) -> Right | None:
    """Who may use a path, by the path's own pattern; None: nobody."""
    return _REGISTRY if path.startswith(REGISTRY_PATHS) else RIGHTS.get((method, path))


def may(role: str, method: str, path: str) -> bool:
    """Whether a caller of this role may use a path at all."""
    found = right_of(method, path)
    return found is not None and found.allows(role)


def rows() -> Iterator[dict[str, str]]:
    """The table, row by row: the path, who may use it, and what it does."""
    for (method, path), right in (*RIGHTS.items(), (("any", "the schema registry's paths"), _REGISTRY)):
        department = ", ".join(sorted(right.who & {DEPARTMENT_ROLE, *_AS_PARTY}))
        overseers = {role: "•" if role in right.who else "" for role in (SUPERVISOR, OPERATOR, AUDITOR)}
        place = f"`{method} {path}`" if method.isupper() else path
        yield {"path": place, DEPARTMENT_ROLE: department, **overseers, "what": right.what}


def described() -> str:
    """The table as Markdown."""
    lines = [
        "# Who may do what",
        "",
        "Written by `exchange token rights --markdown`; the API and the console ask the same table. A department that"
        " is named by its part must have that part in the matter, or have succeeded who had it. A supervisor, operator"
        " or auditor who reads what is between departments leaves a line `access.read` in the log, with its token.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' for _ in COLUMNS)} |",
    ]
    lines += [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in rows()]
    return "\n".join(lines) + "\n"

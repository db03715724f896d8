"""What an error advises can be done: every command that is named exists, and the state takes it."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.shares import LOST, OrderRecovery, SuspendShare
from exchange.broker.grants.suspend import RevokeGrant
from exchange.broker.grants.use import EndPurpose
from exchange.catalogue.load import load
from exchange.cli import main
from exchange.errors import TABLE, ExchangeError
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.ledger.store.command import Command
from exchange.names import DemandId, Department
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(exchange [^`\n]+)`")
ACTS = re.compile(
    r"\b(restore|consent|withdraw|revoke|renew|amend|redrive|discard|suspend|resume|recover|issue|escalate|settle|submit)\b"
)
"""Words for what commands of the exchange do: an advice that uses one says which command does it."""
NO_COMMAND = frozenset({"E_DISPUTE"})
"""Its advice names the group of the three commands."""
TAX, MARKET = Department("taxation"), Department("market-regulation")
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch-exchange"}
CLEAR, HIDDEN = ("credit_code", "name"), ("name", "status")


def texts() -> Iterator[tuple[str, str]]:
    """Whatever the product and its documentation say to people, with the place."""
    yield from ((code, f"{entry.meaning} {entry.advice}") for code, entry in TABLE.items())
    for folder, kind in (("exchange", "*.py"), ("exchange", "*.jinja"), ("deploy", "*.md"), ("connectors", "*.md")):
        for file in (ROOT / folder).rglob(kind):
            yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    yield "README.md", (ROOT / "README.md").read_text(encoding="utf-8")


def named() -> list[tuple[str, str]]:
    return sorted({(place, command) for place, text in texts() for command in NAMED.findall(text)})


def fault_of(text: str) -> str | None:
    """What is wrong with a command as it is written: no such group, command or option. None: it exists."""
    words = shlex.split(re.sub(r"\{[^}]*\}", "X", text.split(" > ", maxsplit=1)[0]))[1:]
    if words[0] not in main.COMMANDS:
        return None if words[0].startswith(("-", "…")) else f"no command {words[0]}"
    found: Any = main.load(words.pop(0))
    while words and words[0] != "--help" and isinstance(found, TyperGroup):
        word = words.pop(0)
        inner = found.get_command(typer.Context(found), word)
        if inner is None:
            return f"no command {word}"
        found = inner
    options = {name for one in found.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in options]
    return f"no option {unknown[0]}" if unknown else None


def test_every_command_that_is_named_anywhere_exists() -> None:
    assert len(named()) > 40
    assert [(*one, fault) for one in named() if (fault := fault_of(one[1])) is not None] == []


def test_an_unknown_command_or_option_is_found() -> None:
    assert fault_of("exchange ledger restore") == "no command restore"
    assert fault_of("exchange grant amend g-1 --everything") == "no option --everything"
    assert fault_of("exchange nothing") == "no command nothing"


def test_an_advice_to_do_something_at_the_exchange_says_by_which_command() -> None:
    silent = {
        code: missing
        for code, entry in TABLE.items()
        if code not in NO_COMMAND
        and (missing := set(ACTS.findall(entry.advice)) - set(" ".join(NAMED.findall(entry.advice)).split()))
    }
    assert silent == {}


# the state takes what is advised


class Scene:
    """A ledger with the shipped catalogue, and commands in short."""

    def __init__(self) -> None:
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.ledger = MemoryLedger()
        self.do(ApplyCatalogue.of(load(Settings().catalogue)))

    def do(self, command: Command) -> tuple[str, ...]:
        return self.ledger.execute(command).entities

    def submit(self, *fields: str, **asked: Any) -> str:
        stated = {**STATED, "demander": TAX, "resource": "102001/0001", "fields": fields, **asked}
        return self.do(SubmitDemand(**stated, schemas=self.schemas))[0]

    def consent(self, demand: str, **said: Any) -> GrantEntry:
        self.do(ConsentDemand(demand=demand, by=MARKET, **said, schemas=self.schemas))
        return self.ledger.state.grants[self.ledger.state.demands[DemandId(demand)].grants[-1]]

    def served(self, *fields: str, **asked: Any) -> GrantEntry:
        grant = self.consent(self.submit(*fields, **asked))
        self.do(PlaceGrant(grant.grant, self.schemas))
        self.do(ActivateGrant(grant.grant))
        return grant

    def amend(self, grant: GrantEntry, **changed: Any) -> tuple[str, ...]:
        return self.do(AmendGrant(grant=grant.grant, by=MARKET, reason="why", **changed, schemas=self.schemas))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=rf"^{code}:")


def advised(code: str, *commands: str) -> None:
    assert NAMED.findall(TABLE[code].advice) == [f"exchange {command}" for command in commands]


@pytest.mark.parametrize(
    "end",
    [
        lambda grant: RevokeGrant(grant.grant, MARKET, "why"),
        lambda grant: EndPurpose(grant=grant.grant, by=TAX, reason="why"),
    ],
)
def test_a_pseudonymous_grant_is_given_once_the_clear_one_has_ended(
    scene: Scene, end: Callable[[GrantEntry], Command]
) -> None:
    advised("E_PSEUDONYM_BESIDE_CLEAR", "grant end-purpose", "grant revoke")
    grant = scene.served(*CLEAR)
    wanted = scene.submit(*HIDDEN, scenario="another duty")
    with refused("E_PSEUDONYM_BESIDE_CLEAR"):
        scene.consent(wanted)
    scene.do(end(grant))
    assert scene.consent(wanted).terms.pseudonymous


def test_what_an_amendment_advises_instead_of_pseudonyms_is_possible(scene: Scene) -> None:
    grant = scene.served(*CLEAR)
    with pytest.raises(ExchangeError) as told:
        scene.amend(grant, fields=("name",))
    assert told.value.code == "E_PSEUDONYM_BESIDE_CLEAR"
    assert told.value.detail == f"end {grant.grant}, then let its demand be made again"
    scene.do(RevokeGrant(grant.grant, MARKET, "why"))
    with refused("E_DEMAND_STATE"):
        scene.consent(grant.demand)
    assert scene.consent(scene.submit("name")).terms.pseudonymous


def test_a_grant_whose_terms_do_not_fit_gets_others(scene: Scene) -> None:
    advised("E_SHARE_TERMS", "grant amend")
    grant = scene.served(*CLEAR, "status")
    assert grant.share is not None
    scene.do(SuspendShare(grant.share, "E_SHARE_TERMS", START))
    assert scene.amend(grant, fields=CLEAR)
    scene.do(PlaceGrant(grant.grant, scene.schemas))
    assert grant.next is not None and grant.next.share is not None


@pytest.mark.parametrize("code", [LOST, "E_SHARE_UNWRITABLE"])
def test_a_suspended_share_is_recovered(scene: Scene, code: str) -> None:
    advised(code, "grant recover")
    grant = scene.served(*CLEAR)
    assert grant.share is not None
    scene.do(SuspendShare(grant.share, code, START))
    assert scene.do(OrderRecovery(grant.grant))


def test_a_duplicate_is_demanded_once_the_other_is_withdrawn(scene: Scene) -> None:
    advised("E_DEMAND_DUPLICATE", "demand withdraw")
    first = scene.submit(*CLEAR)
    with refused("E_DEMAND_DUPLICATE"):
        scene.submit(*CLEAR)
    scene.do(WithdrawDemand(demand=first, by=TAX))
    assert scene.submit(*CLEAR)


def test_a_split_need_is_demanded_at_once_in_the_place_of_the_other(scene: Scene) -> None:
    first = scene.submit(*CLEAR)
    with refused("E_DEMAND_SPLIT"):
        scene.submit("credit_code", "status")
    assert scene.submit(*CLEAR, "status", replaces=first)

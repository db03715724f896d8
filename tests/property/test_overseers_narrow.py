"""Whatever owners and overseers amend in whatever order: an overseer never gives, and what is left out stays."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.demands.terms import strength
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import AmendGrant, SwitchShare
from exchange.broker.grants.place import PlaceGrant
from exchange.catalogue.load import load
from exchange.delivery.cutting.scopes import matches
from exchange.errors import ExchangeError
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import Condition, GrantEntry
from exchange.names import DemandId, Department
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

TAX, MARKET = Department("taxation"), Department("market-regulation")
ASKED = ("credit_code", "name", "status", "region", "industry")
ROWS = [{"region": place, "industry": kind} for place in ("340104", "340200", "350000") for kind in ("52", "F51")]
SCOPES = st.lists(
    st.sampled_from(
        [
            Condition("region", "prefix", ("34",)),
            Condition("region", "prefix", ("3401",)),
            Condition("region", "equals", ("340104",)),
            Condition("region", "in", ("340104", "340200")),
            Condition("industry", "prefix", ("F",)),
        ]
    ),
    max_size=2,
).map(tuple)
MASKS = st.sampled_from([None, "ends", "first", "pseudonym"])
FIELDS = st.lists(st.sampled_from(ASKED), min_size=1, max_size=5, unique=True).map(tuple)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "fields": FIELDS,
        "scope": SCOPES,
        "masks": st.dictionaries(
            st.sampled_from(ASKED), st.sampled_from([None, "ends", "first", "pseudonym"]), max_size=1
        ),
    },
)
STEPS = st.lists(st.tuples(st.sampled_from([None, None, MARKET]), CHANGES, st.booleans()), min_size=1, max_size=12)


@cache
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


def granted(asked: tuple[Condition, ...], fields: tuple[str, ...]) -> tuple[MemoryLedger, GrantEntry]:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)))
    stated: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch"}
    demand = SubmitDemand(demander=TAX, resource="102001/0001", fields=ASKED, scope=asked, **stated, schemas=schemas())
    made = ledger.state.demands[DemandId(ledger.execute(demand).entities[0])]
    ledger.execute(ConsentDemand(demand=made.demand, by=MARKET, fields=fields, schemas=schemas()))
    grant = ledger.state.grants[made.grants[0]]
    ledger.execute(PlaceGrant(grant.grant, schemas()))
    ledger.execute(ActivateGrant(grant.grant))
    return ledger, grant


def gives(grant: GrantEntry) -> tuple[dict[str, int], frozenset[int]]:
    """What was agreed last: how much of each field is hidden, and which rows there are."""
    terms = (grant.next.agreement if grant.next is not None else agreement_of(grant)).terms
    masks = dict(terms.masks)
    rows = (at for at, row in enumerate(ROWS) if all(matches(part, row[part.field]) for part in terms.scope))
    return {name: strength(masks.get(name)) for name in terms.fields}, frozenset(rows)


@settings(deadline=None, max_examples=60)
@given(SCOPES, FIELDS, STEPS)
def test_an_overseer_never_gives_and_what_is_left_out_stays(
    asked: tuple[Condition, ...], fields: tuple[str, ...], steps: list[Any]
) -> None:
    try:
        ledger, grant = granted(asked, ("credit_code", *fields))
    except ExchangeError as error:
        assert error.code == "E_SCOPE_HIDDEN"
        return
    for by, changed, switched in steps:
        (hidden, rows) = gives(grant)
        try:
            ledger.execute(AmendGrant(grant=grant.grant, by=by, reason="x", **changed, schemas=schemas()))
        except ExchangeError as error:
            assert gives(grant) == (hidden, rows), error.code
            continue
        found, left = gives(grant)
        if by is None:
            assert found.keys() <= hidden.keys() and left <= rows
            assert all(found[name] >= hidden[name] for name in found)
        assert "fields" in changed or found.keys() == hidden.keys()
        assert "scope" in changed or left == rows
        kept = found.keys() & hidden.keys() - changed.get("masks", {}).keys()
        assert all(found[name] == hidden[name] for name in kept)
        if switched:
            ledger.execute(PlaceGrant(grant.grant, schemas()))
            ledger.execute(SwitchShare(grant.grant))


def test_the_property_tells_a_mask_from_none() -> None:
    ledger, grant = granted((), ("credit_code", "name"))
    ledger.execute(AmendGrant(grant=grant.grant, by=None, reason="x", masks={"name": "first"}, schemas=schemas()))
    assert gives(grant)[0] == {"credit_code": 0, "name": 2}
    with pytest.raises(ExchangeError, match=r"^E_ROLE:"):
        ledger.execute(AmendGrant(grant=grant.grant, by=None, reason="x", masks={"name": None}, schemas=schemas()))

"""A row scope discloses what it filters by: the rules of fields hold for it, and no person is named in the ledger."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.automatic import ConsentUnconditional, consents_wait
from exchange.broker.demands.clocks import clocks
from exchange.broker.demands.renew import RenewDemand
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.demands.supplement import SupplementDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.grants.amend import AmendGrant
from exchange.catalogue.load import load
from exchange.catalogue.model import Sharing
from exchange.errors import ExchangeError
from exchange.identifiers.resident_id import check_character
from exchange.ledger.state.ledger_state import Condition, DemandEntry, GrantEntry
from exchange.names import DemandId, Department, RecordType
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger

TAX, MARKET, POLICE = Department("taxation"), Department("market-regulation"), Department("public-security")
ENTERPRISES, RESIDENTS, PERMITS = "102001/0001", "101001/0001", "104001/0001"
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "staff", "mode": "batch-exchange"}
BODY = "34010219900101123"
RESIDENT_ID = BODY + check_character(BODY)
Submit = Callable[..., DemandEntry]


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


def where(field: str, operator: str = "equals", *values: str) -> dict[str, Any]:
    return {"scope": (Condition(field, operator, values or ("1",)),)}


@pytest.fixture
def submit(ledger: MemoryLedger, schemas: SchemaRepository) -> Submit:
    def submit(*fields: str, **asked: Any) -> DemandEntry:
        stated = {**STATED, "demander": TAX, "fields": fields, "scenario": f"duty {ledger.state.seq}"}
        if "record_type" not in asked:
            stated["resource"] = ENTERPRISES
        done = ledger.execute(SubmitDemand(**{**stated, **asked}, schemas=schemas), TAX)
        return ledger.state.demands[DemandId(done.entities[0])]

    return submit


def change(ledger: MemoryLedger, resource: str, **sharing: Sharing) -> None:
    """Publish a resource of the catalogue again, with other attributes of some of its fields."""
    catalogue = load(Settings().catalogue)
    one = catalogue.resources[resource]
    more = {"not_shared_basis": dict.fromkeys(sharing, "a law")}
    changed = one.model_copy(update={"fields": {**one.fields, **sharing}, **more})
    ledger.execute(
        ApplyCatalogue.of(catalogue.model_copy(update={"resources": {**catalogue.resources, resource: changed}}))
    )


def automatic(ledger: MemoryLedger, schemas: SchemaRepository) -> int:
    return len(ledger.execute(ConsentUnconditional(schemas)).entities)


def test_rows_chosen_by_a_conditional_field_are_not_granted_automatically(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    demand = submit("credit_code", **where("old_number", "prefix", "3401"))
    assert not consents_wait(ledger.state, ledger.clock.now())
    assert automatic(ledger, schemas) == 0
    reply = clocks(ledger.state, demand, START).reply
    assert demand.reply_days == 10 and reply is not None
    ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas), MARKET)
    assert ledger.state.grants[demand.grants[0]].terms.scope == demand.scope, "its provider may give it"


def test_rows_chosen_by_an_unconditional_field_are_granted_automatically(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    demand = submit("credit_code", **where("region", "in", "340100", "340800"))
    assert (demand.reply_days, automatic(ledger, schemas)) == (1, 1)


@pytest.mark.parametrize("implicit", ["credit_code", "expires_at"])
def test_a_conditional_key_or_expiry_is_not_granted_automatically(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit, implicit: str
) -> None:
    if implicit == "credit_code":
        change(ledger, ENTERPRISES, credit_code=Sharing.CONDITIONAL)
        demand = submit("status")
    else:
        unconditional = dict.fromkeys(load(Settings().catalogue).resources[PERMITS].fields, Sharing.UNCONDITIONAL)
        catalogue = load(Settings().catalogue)
        fields = {**unconditional, "expires_at": Sharing.CONDITIONAL}
        one = catalogue.resources[PERMITS].model_copy(update={"sharing": Sharing.UNCONDITIONAL, "fields": fields})
        ledger.execute(
            ApplyCatalogue.of(catalogue.model_copy(update={"resources": {**catalogue.resources, PERMITS: one}}))
        )
        demand = submit("provider_code", "document_number", "status", resource=PERMITS)
    assert demand.reply_days == 10
    assert automatic(ledger, schemas) == 0


def test_a_condition_that_the_catalogue_makes_conditional_meanwhile_waits_for_a_person(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    submit("credit_code", **where("region", "prefix", "3401"))
    change(ledger, ENTERPRISES, region=Sharing.CONDITIONAL)
    assert automatic(ledger, schemas) == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"fields": ("credit_code", "region"), "masks": {"region": "first"}, **where("region")}, "E_SCOPE_HIDDEN"),
        ({"fields": ("name", "status"), **where("credit_code", "prefix", "91")}, "E_SCOPE_HIDDEN"),
        (
            {"fields": ("credit_code", "name"), "masks": {"credit_code": "pseudonym"}, **where("credit_code")},
            "E_SCOPE_HIDDEN",
        ),
        ({"fields": ("credit_code",), **where("legal_representative", "prefix", "张")}, "E_SCOPE_PERSONAL"),
        ({"fields": ("credit_code",), **where("Region", "prefix", "34")}, "E_UNKNOWN_FIELD"),
        ({"fields": ("credit_code",), **where("region.code", "prefix", "34")}, "E_UNKNOWN_FIELD"),
        ({"fields": ("credit_code",), **where("region", "prefix", "３４０１")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("region", "equals", "34\u200b0100")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("region", "equals", " 340100")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("region", "equals", "")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("name", "equals", "e\u0301")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("name", "equals", "a\ud800")}, "E_SCOPE"),
        ({"fields": ("credit_code",), **where("name", "in", *map(str, range(10_000)))}, "E_SCOPE"),
        (
            {"fields": ("credit_code",), "scope": tuple(Condition("name", "prefix", (str(n),)) for n in range(21))},
            "E_SCOPE",
        ),
    ],
)
def test_rows_are_not_chosen_by_what_the_share_hides_or_by_what_nobody_can_read(
    ledger: MemoryLedger, submit: Submit, asked: dict[str, Any], code: str
) -> None:
    before = ledger.state.seq
    with refused(code):
        submit(**asked)
    assert ledger.state.seq == before


@pytest.mark.parametrize("name", ["resident_id", "name", "household_id", "current_address", "spouse_id"])
def test_a_scope_on_what_tells_a_person_is_refused(submit: Submit, name: str) -> None:
    with refused("E_SCOPE_PERSONAL"):
        submit("resident_id", name, resource=RESIDENTS, **where(name, "prefix", "34"))


@pytest.mark.parametrize(
    "written",
    [
        RESIDENT_ID,
        RESIDENT_ID.lower(),
        f"公民{RESIDENT_ID}号",
        f"{RESIDENT_ID[:6]} {RESIDENT_ID[6:14]}-{RESIDENT_ID[14:]}",
        "".join(chr(ord(one) + 0xFEE0) for one in RESIDENT_ID),
        "".join(chr(0x0660 + int(one)) if one.isdigit() else one for one in RESIDENT_ID),
        "\u200b".join(RESIDENT_ID),
    ],
)
def test_an_identity_number_is_no_value_of_any_scope(submit: Submit, written: str) -> None:
    with refused("E_SCOPE_PERSONAL"):
        submit("credit_code", "name", **where("name", "equals", written))


def test_codes_about_persons_may_choose_rows(submit: Submit) -> None:
    demand = submit(
        "resident_id", "household_region", resource=RESIDENTS, **where("household_region", "prefix", "3401")
    )
    assert demand.scope and demand.reply_days == 10
    with refused("E_SCOPE"):
        submit("resident_id", resource=RESIDENTS, **where("household_region", "equals", "合肥"))


def test_rows_are_not_chosen_by_a_field_that_is_not_shared(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    early = submit("credit_code", **where("industry", "prefix", "52"))
    change(ledger, ENTERPRISES, industry=Sharing.NOT_SHARED)
    with refused("E_SCOPE_HIDDEN"):
        submit("credit_code", **where("industry", "prefix", "52"))
    with refused("E_SCOPE_HIDDEN"):
        ledger.execute(ConsentDemand(demand=early.demand, by=MARKET, schemas=schemas), MARKET)


def test_where_nobody_offers_a_record_type_its_scopes_are_judged_all_the_same(submit: Submit) -> None:
    wanted = {"record_type": RecordType("population.resident"), "provider": Department("health")}
    with refused("E_SCOPE_PERSONAL"):
        submit("resident_id", **wanted, **where("resident_id", "equals", RESIDENT_ID))
    with refused("E_SCOPE"):
        submit("anything", record_type=RecordType("population.foreigner"), **where("anything", "equals", RESIDENT_ID))


def test_a_supplement_and_a_renewal_obey_the_same_rules(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    made = submit()
    for scope, code in ((where("legal_representative"), "E_SCOPE_PERSONAL"), (where("credit_code"), "E_SCOPE_HIDDEN")):
        with refused(code):
            ledger.execute(
                SupplementDemand(demand=made.demand, by=TAX, fields=("status",), **scope, schemas=schemas), TAX
            )
    served = submit("credit_code", use_until=START + timedelta(days=90), **where("industry", "prefix", "52"))
    ledger.execute(ConsentDemand(demand=served.demand, by=MARKET, schemas=schemas), MARKET)
    change(ledger, ENTERPRISES, industry=Sharing.NOT_SHARED)
    with refused("E_SCOPE_HIDDEN"):
        ledger.execute(RenewDemand(demand=served.demand, by=TAX, schemas=schemas), TAX)


# the provider's part


def test_a_consent_does_not_hide_what_the_asked_rows_are_chosen_by(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    demand = submit("credit_code", "region", "industry", **where("region", "prefix", "3401"))
    for said in (
        {"masks": {"region": "first"}},
        {"fields": ("credit_code", "industry")},
        {"masks": {"industry": "first"}, **where("industry", "prefix", "52")},
        where("legal_representative", "prefix", "张"),
        where("name", "equals", RESIDENT_ID),
    ):
        with refused("E_SCOPE_[A-Z]+"):
            ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, **said, schemas=schemas), MARKET)
    fewer = where("industry", "prefix", "52")
    ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, **fewer, schemas=schemas), MARKET)
    assert len(ledger.state.grants[demand.grants[0]].terms.scope) == 2


def test_an_amendment_does_not_hide_what_rows_are_chosen_by(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    demand = submit("credit_code", "region", **where("region", "prefix", "3401"))
    ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas), MARKET)
    grant: GrantEntry = ledger.state.grants[demand.grants[0]]
    for said in ({"masks": {"region": "ends"}}, {"fields": ("credit_code",)}, where("name", "equals", RESIDENT_ID)):
        with refused("E_SCOPE_[A-Z]+"):
            ledger.execute(AmendGrant(grant=grant.grant, by=MARKET, reason="less", **said, schemas=schemas), MARKET)


def test_a_key_that_is_not_shared_rides_with_no_share_not_even_as_a_pseudonym(
    ledger: MemoryLedger, schemas: SchemaRepository, submit: Submit
) -> None:
    demand = submit("status", "region")
    change(ledger, ENTERPRISES, credit_code=Sharing.NOT_SHARED)
    with refused("E_CONSENT"):
        ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=schemas), MARKET)

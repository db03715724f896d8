from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.clocks import clocks
from exchange.broker.demands.reply import ConsentDemand, RefuseDemand
from exchange.broker.demands.state import demand_state
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.departments.succession import SettleSuccession
from exchange.broker.grants.suspend import RevokeGrant
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition, DemandEntry, DemandState, GrantEntry, LedgerState
from exchange.names import DemandId, Department, RecordType
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger

ENTERPRISES = "102001/0001"
RESIDENTS = "101001/0001"
DEATHS = "101002/0001"
TAX = Department("taxation")
HUMAN_RESOURCES = Department("human-resources")
MARKET = Department("market-regulation")
POLICE = Department("public-security")
HEALTH = Department("health")
STATED = {"legal_basis": "税收征收管理法 art. 6", "scenario": "税务登记", "use_scope": "省本级", "mode": "批量交换"}
HEFEI = Condition("region", "prefix", ("3401",))


Submit = Callable[..., DemandEntry]
Consent = Callable[..., GrantEntry]


@pytest.fixture
def submit(ledger: MemoryLedger, schemas: SchemaRepository) -> Submit:
    def submit(**asked: Any) -> DemandEntry:
        defaults: dict[str, Any] = {
            "demander": TAX,
            "resource": ENTERPRISES,
            "fields": ("credit_code", "name"),
            **STATED,
            "scenario": f"税务登记 {ledger.state.seq}",
        }
        if "record_type" in asked:
            del defaults["resource"]
        done = ledger.execute(SubmitDemand(**(defaults | asked), schemas=schemas), TAX)
        return ledger.state.demands[DemandId(done.entities[0])]

    return submit


@pytest.fixture
def consent(ledger: MemoryLedger, schemas: SchemaRepository) -> Consent:
    def consent(demand: DemandEntry, **said: Any) -> GrantEntry:
        said.setdefault("by", demand.provider)
        ledger.execute(ConsentDemand(demand=demand.demand, **said, schemas=schemas), str(said["by"]))
        return ledger.state.grants[demand.grants[-1]]

    return consent


def state_of(ledger: MemoryLedger, demand: DemandEntry) -> DemandState:
    return demand_state(ledger.state, demand, ledger.clock.now())


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


# submit


def test_submitted_demand_says_what_the_rate_needs(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(scope=(HEFEI,), use_until=START + timedelta(days=90))

    assert state_of(ledger, demand) is DemandState.SUBMITTED
    data = ledger.events[-1].data
    assert ledger.events[-1].event == "demand-submitted"
    assert data["demander"] == "taxation"
    assert data["provider"] == "market-regulation"
    assert data["registry"] == "legal-entity"
    assert data["record_type"] == "legal-entity.registration"
    assert data["fields"] == ["credit_code", "name"]
    assert data["complete"] is True
    assert data["use_from"] is None
    assert data["use_until"] == "2027-02-22T08:00:00.000Z"


def test_incomplete_demand_is_told_everything_that_is_missing_at_once(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(fields=(), legal_basis=" ", scenario="", mode="")

    assert state_of(ledger, demand) is DemandState.INCOMPLETE
    assert set(demand.missing) == {"legal_basis", "scenario", "mode", "fields"}
    assert demand.complete is None


def test_demand_that_nobody_offers_is_unmatched(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(record_type=RecordType("credit.commendation"), fields=("amount",))

    assert state_of(ledger, demand) is DemandState.UNMATCHED
    assert demand.provider is None
    assert demand.registry == "credit"


def test_demand_of_a_record_type_is_matched_with_its_resource(submit: Submit) -> None:
    demand = submit(record_type=RecordType("population.death"), fields=("resident_id", "death_date"))

    assert (demand.provider, demand.resource) == (HEALTH, DEATHS)


def test_request_for_several_resources_makes_a_demand_for_each(schemas: SchemaRepository) -> None:
    ledger = MemoryLedger()
    catalogue = load(Settings().catalogue)
    ledger.execute(ApplyCatalogue.of(catalogue))

    asked = SubmitDemand(
        demander=HUMAN_RESOURCES, record_type=RecordType("population.death"), fields=("resident_id",), schemas=schemas
    )
    done = ledger.execute(asked)

    demands = [ledger.state.demands[DemandId(entity)] for entity in done.entities]
    assert {demand.provider for demand in demands} == {
        one.provider for one in catalogue.resources_of("population.death")
    }
    assert len(demands) == 4
    assert len({demand.request for demand in demands}) == 1


def test_unmatched_demand_is_matched_when_a_resource_is_published(schemas: SchemaRepository) -> None:
    ledger = MemoryLedger()
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    ledger.execute(ApplyCatalogue(whole.departments, ()))
    asked = SubmitDemand(
        demander=TAX, record_type=RecordType("legal-entity.registration"), fields=("name",), **STATED, schemas=schemas
    )
    demand = ledger.state.demands[DemandId(ledger.execute(asked).entities[0])]
    assert state_of(ledger, demand) is DemandState.UNMATCHED
    ledger.clock.forward(days=3)

    ledger.execute(whole)

    assert state_of(ledger, demand) is DemandState.SUBMITTED
    assert demand.provider == MARKET
    reply = clocks(ledger.state, demand, ledger.clock.now()).reply
    assert reply is not None
    assert reply.due == date(2026, 11, 30), "the provider's clock runs from when it had the demand"


def test_of_several_resources_that_fit_an_unmatched_demand_the_first_by_code_is_matched(
    schemas: SchemaRepository,
) -> None:
    ledger = MemoryLedger()
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    ledger.execute(ApplyCatalogue(whole.departments, ()))
    fields = ("resident_id", "death_date")
    asked = SubmitDemand(
        demander=TAX, record_type=RecordType("population.death"), fields=fields, **STATED, schemas=schemas
    )
    demand = ledger.state.demands[DemandId(ledger.execute(asked).entities[0])]
    ledger.execute(whole)

    assert state_of(ledger, demand) is DemandState.SUBMITTED
    assert demand.resource == DEATHS and demand.provider == HEALTH


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"demander": "nobody"}, "E_UNKNOWN_DEPARTMENT"),
        ({"demander": "state-taxation"}, "E_UNKNOWN_DEPARTMENT"),
        ({"resource": "999999/1"}, "E_UNKNOWN_RESOURCE"),
        ({"fields": ("credit_code", "shoe_size")}, "E_UNKNOWN_FIELD"),
        ({"demander": MARKET}, "E_DEMAND_OWN"),
        ({"masks": {"name": "blur"}}, "E_MASK"),
        ({"masks": {"name": "year"}}, "E_MASK"),
        ({"masks": {"established": "year"}}, "E_MASK"),
        ({"fields": ("established",), "masks": {"established": "first"}}, "E_MASK"),
        ({"scope": (Condition("region", "regex", (".*",)),)}, "E_SCOPE"),
        ({"scope": (Condition("region", "equals", ("1", "2")),)}, "E_SCOPE"),
        ({"scope": (Condition("region", "in", ()),)}, "E_SCOPE"),
        ({"scope": (Condition("established", "equals", ("2020",)),)}, "E_SCOPE"),
        ({"scope": (Condition("shoe_size", "equals", ("44",)),)}, "E_UNKNOWN_FIELD"),
        ({"use_from": START, "use_until": START}, "E_PERIOD"),
        ({"use_until": START - timedelta(days=1)}, "E_PERIOD"),
        ({"freshness_seconds": 0}, "E_REQUEST"),
        ({"freshness_seconds": 2**60}, "E_REQUEST"),
        ({"scenario": "\ud800"}, "E_REQUEST"),
        ({"record_type": "shoes.sizes"}, "E_NAME_INVALID"),
    ],
)
def test_wrong_demand_is_refused_with_its_code(
    ledger: MemoryLedger, submit: Submit, asked: dict[str, Any], code: str
) -> None:
    before = ledger.state.seq

    with refused(code):
        submit(**asked)
    assert ledger.state.seq == before


def test_masks_fit_text_and_dates(submit: Submit) -> None:
    masks = {"name": "first", "legal_representative": "pseudonym", "established": "year", "approved": "year"}

    demand = submit(fields=tuple(masks), masks=masks)

    assert dict(demand.masks) == masks


def test_second_open_demand_for_the_same_is_a_duplicate(submit: Submit) -> None:
    submit(fields=("name", "status"), scope=(HEFEI,))

    with refused("E_DEMAND_DUPLICATE"):
        submit(fields=("status", "name"), scope=(HEFEI,), use_until=START + timedelta(days=1))
    submit(fields=("name", "status"))
    submit(fields=("name",), scope=(HEFEI,))
    submit(demander=HUMAN_RESOURCES, fields=("name", "status"), scope=(HEFEI,))


def test_equal_scopes_written_differently_are_duplicates(submit: Submit) -> None:
    submit(scope=(Condition("region", "in", ("340200", "340100")), Condition("status", "in", ("1",))))

    with refused("E_DEMAND_DUPLICATE"):
        submit(scope=(Condition("status", "equals", ("1",)), Condition("region", "in", ("340100", "340200", "340100"))))


def test_withdrawn_or_refused_demand_may_be_made_again(ledger: MemoryLedger, submit: Submit) -> None:
    first = submit()
    ledger.execute(WithdrawDemand(demand=first.demand, by=TAX))
    second = submit()
    ledger.execute(RefuseDemand(demand=second.demand, by=MARKET, reason="no legal basis"))

    assert state_of(ledger, submit()) is DemandState.SUBMITTED


# consent


def test_consent_without_words_grants_what_was_asked(ledger: MemoryLedger, submit: Submit, consent: Consent) -> None:
    demand = submit(fields=("status", "name", "credit_code"), masks={"name": "first"}, scope=(HEFEI,))

    grant = consent(demand)

    assert grant.granted == ("credit_code", "name", "status"), "a field asked masked counts as asked"
    assert grant.masked == ()
    assert not grant.scope_narrowed
    assert grant.terms.fields == ("credit_code", "name", "status"), "in the order of the schema"
    assert grant.terms.masks == (("name", "first"),)
    assert grant.terms.scope == (HEFEI,)
    assert grant.freshness_seconds == 86_400, "the update cycle"
    assert state_of(ledger, demand) is DemandState.CONSENTED


def test_consent_agrees_to_the_wanted_freshness_unless_it_says_another(submit: Submit, consent: Consent) -> None:
    assert consent(submit(freshness_seconds=600)).freshness_seconds == 600
    assert (
        consent(submit(fields=("credit_code",), freshness_seconds=600), freshness_seconds=900).freshness_seconds == 900
    )


def test_partial_consent_with_stronger_mask_and_narrower_scope(submit: Submit, consent: Consent) -> None:
    demand = submit(
        fields=("credit_code", "name", "legal_representative", "status"), masks={"legal_representative": "ends"}
    )

    grant = consent(
        demand,
        fields=("credit_code", "name", "legal_representative"),
        masks={"legal_representative": "first", "name": "ends"},
        scope=(HEFEI,),
    )

    assert grant.granted == ("credit_code",)
    assert grant.masked == ("name", "legal_representative")
    assert grant.scope_narrowed
    assert grant.terms.scope == (HEFEI,)


def test_condition_that_every_asked_row_meets_does_not_narrow(submit: Submit, consent: Consent) -> None:
    demand = submit(scope=(Condition("region", "in", ("340102", "340103")),))

    grant = consent(demand, scope=(HEFEI, Condition("region", "in", ("340102", "340103", "340104"))))

    assert not grant.scope_narrowed
    assert grant.terms.scope == demand.scope


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"fields": ()}, "E_CONSENT"),
        ({"fields": ("credit_code", "status")}, "E_CONSENT"),
        ({"masks": {"name": "ends"}}, "E_CONSENT"),
        ({"masks": {"credit_code": "year"}}, "E_MASK"),
        ({"masks": {"status": "first"}}, "E_MASK"),
        ({"scope": (Condition("established", "prefix", ("2",)),)}, "E_SCOPE"),
        ({"freshness_seconds": -1}, "E_REQUEST"),
        ({"by": TAX}, "E_ROLE"),
        ({"by": POLICE}, "E_ROLE"),
    ],
)
def test_consent_that_gives_too_much_or_nothing_is_refused(
    ledger: MemoryLedger, submit: Submit, consent: Consent, said: dict[str, Any], code: str
) -> None:
    demand = submit(masks={"name": "first"})

    with refused(code):
        consent(demand, **said)
    assert state_of(ledger, demand) is DemandState.SUBMITTED


def test_field_that_the_catalogue_does_not_share_cannot_be_granted(submit: Submit, consent: Consent) -> None:
    demand = submit(demander=HUMAN_RESOURCES, resource=DEATHS, fields=("provider_code", "resident_id", "cause_class"))

    with refused("E_CONSENT"):
        consent(demand)
    assert consent(demand, fields=("provider_code", "resident_id")).granted == ("provider_code", "resident_id")


def test_consent_twice_is_refused(submit: Submit, consent: Consent) -> None:
    demand = submit()
    consent(demand)

    with refused("E_DEMAND_STATE"):
        consent(demand)


def test_consent_to_what_is_incomplete_or_unmatched_is_refused(submit: Submit, consent: Consent) -> None:
    with refused("E_DEMAND_STATE"):
        consent(submit(scenario=""))
    with refused("E_DEMAND_STATE"):
        consent(submit(record_type=RecordType("credit.commendation")), by=MARKET)


def test_command_on_an_unknown_demand_is_refused(ledger: MemoryLedger, schemas: SchemaRepository) -> None:
    for command in (
        ConsentDemand(demand="d-999", by=MARKET, schemas=schemas),
        RefuseDemand(demand="d-999", by=MARKET, reason="no"),
        WithdrawDemand(demand="d-999", by=TAX),
    ):
        with refused("E_UNKNOWN_DEMAND"):
            ledger.execute(command)


@pytest.mark.parametrize(
    ("fields", "masks", "pseudonymous"),
    [
        (("resident_id", "name"), {}, False),
        (("name", "sex"), {}, True),
        (("resident_id", "name"), {"resident_id": "pseudonym"}, True),
        (("resident_id", "name"), {"resident_id": "ends"}, True),
        (("resident_id", "name"), {"name": "first"}, False),
    ],
)
def test_share_is_pseudonymous_unless_its_key_is_granted_in_clear(
    submit: Submit, consent: Consent, fields: tuple[str, ...], masks: dict[str, str], pseudonymous: bool
) -> None:
    grant = consent(submit(resource=RESIDENTS, fields=fields, masks=masks))

    assert grant.terms.pseudonymous is pseudonymous


def test_clear_share_beside_a_pseudonymous_one_is_refused(
    ledger: MemoryLedger, submit: Submit, consent: Consent
) -> None:
    clear = consent(submit(resource=RESIDENTS, fields=("resident_id",)))
    demand = submit(resource=RESIDENTS, fields=("name",))

    with refused("E_PSEUDONYM_BESIDE_CLEAR"):
        consent(demand)
    consent(submit(demander=HUMAN_RESOURCES, resource=RESIDENTS, fields=("name",)))
    ledger.execute(RevokeGrant(clear.grant, POLICE, "purpose met"))

    assert consent(demand).terms.pseudonymous


def test_predecessor_of_a_provider_cannot_reply(submit: Submit, consent: Consent) -> None:
    with refused("E_ROLE"):
        consent(submit(), by=Department("industry-and-commerce"))


def test_successor_replies_for_a_merged_provider(schemas: SchemaRepository) -> None:
    ledger = MemoryLedger()
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    old = next(data for data in whole.resources if data["resource"] == ENTERPRISES) | {
        "provider": "industry-and-commerce"
    }
    ledger.execute(ApplyCatalogue(whole.departments, (old,)))
    ledger.execute(SettleSuccession())
    demand = ledger.execute(
        SubmitDemand(demander=TAX, resource=ENTERPRISES, fields=("name", "credit_code"), **STATED, schemas=schemas)
    ).entities[0]

    ledger.execute(ConsentDemand(demand=demand, by=MARKET, schemas=schemas))

    assert ledger.state.demands[DemandId(demand)].grants


# refuse, withdraw, ends


def test_refusal_needs_a_reason_and_stays_visible(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit()
    with refused("E_REFUSAL_REASON"):
        ledger.execute(RefuseDemand(demand=demand.demand, by=MARKET, reason="  "))

    ledger.execute(RefuseDemand(demand=demand.demand, by=MARKET, reason="目的超出法定职责"))

    assert state_of(ledger, demand) is DemandState.REFUSED
    with refused("E_DEMAND_STATE"):
        ledger.execute(RefuseDemand(demand=demand.demand, by=MARKET, reason="again"))


def test_refusal_of_what_is_not_shared_names_its_law_from_the_catalogue(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(demander=HUMAN_RESOURCES, resource=DEATHS, fields=("cause_class",))
    with refused("E_REFUSAL_REASON"):
        ledger.execute(RefuseDemand(demand=demand.demand, by=HEALTH, reason=" "))

    ledger.execute(RefuseDemand(demand=demand.demand, by=HEALTH, reason="not shared"))

    assert state_of(ledger, demand) is DemandState.REFUSED
    law = ledger.state.resources[DEATHS].details["not_shared_basis"]["cause_class"]
    assert law and ledger.events[-1].data["legal_basis"] == law


def test_refusal_of_what_is_shared_names_no_law_of_the_catalogue(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit()
    ledger.execute(RefuseDemand(demand=demand.demand, by=MARKET, reason="目的超出法定职责"))

    assert ledger.events[-1].data["legal_basis"] is None


def test_withdrawal_ends_the_grants(ledger: MemoryLedger, submit: Submit, consent: Consent) -> None:
    demand = submit()
    grant = consent(demand)
    with refused("E_ROLE"):
        ledger.execute(WithdrawDemand(demand=demand.demand, by=MARKET))

    ledger.execute(WithdrawDemand(demand=demand.demand, by=TAX))

    assert state_of(ledger, demand) is DemandState.WITHDRAWN
    assert grant.end_reason == "withdrawn"
    with refused("E_DEMAND_STATE"):
        ledger.execute(WithdrawDemand(demand=demand.demand, by=TAX))


def test_history_tells_every_event_of_a_demand_and_its_grants(
    ledger: MemoryLedger, submit: Submit, consent: Consent
) -> None:
    demand = submit()
    grant = consent(demand)
    ledger.execute(RevokeGrant(grant.grant, None, "misuse"), "operator")

    assert [entry.event for entry in demand.history] == ["demand-submitted", "demand-consented", "grant-ended"]
    assert demand.history[-1].actor == "operator"


# clocks


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        (("credit_code", "name"), date(2026, 11, 25)),
        (("credit_code", "legal_representative"), date(2026, 12, 8)),
    ],
)
def test_reply_is_due_in_one_or_ten_working_days(
    ledger: MemoryLedger, submit: Submit, fields: tuple[str, ...], due: date
) -> None:
    demand = submit(fields=fields)

    reply = clocks(ledger.state, demand, ledger.clock.now()).reply

    assert reply is not None
    assert (reply.due, reply.done, reply.overdue) == (due, None, False)
    late = datetime.combine(due, datetime.min.time(), UTC) + timedelta(days=1)
    overdue = clocks(ledger.state, demand, late).reply
    assert overdue is not None
    assert overdue.overdue


def test_day_of_a_deadline_is_that_of_shanghai(ledger: MemoryLedger, submit: Submit) -> None:
    ledger.clock.moment = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)  # half past midnight of the 25th there

    reply = clocks(ledger.state, submit(), ledger.clock.now()).reply

    assert reply is not None
    assert reply.due == date(2026, 11, 26)


def test_delivery_is_due_twenty_working_days_after_consent(
    ledger: MemoryLedger, submit: Submit, consent: Consent
) -> None:
    demand = submit()
    assert clocks(ledger.state, demand, START).delivery is None
    consent(demand)

    running = clocks(ledger.state, demand, START)

    assert running.reply is not None
    assert running.reply.done == date(2026, 11, 24)
    assert running.delivery is not None
    assert running.delivery.due == date(2026, 12, 22)


def test_no_clock_runs_for_what_is_incomplete_unmatched_or_withdrawn(ledger: MemoryLedger, submit: Submit) -> None:
    withdrawn = submit()
    ledger.execute(WithdrawDemand(demand=withdrawn.demand, by=TAX))
    for demand in (submit(scenario=""), submit(record_type=RecordType("credit.commendation")), withdrawn):
        assert clocks(ledger.state, demand, START).reply is None


def test_demand_ends_with_its_use_period(ledger: MemoryLedger, submit: Submit) -> None:
    demand = submit(use_until=START + timedelta(hours=1))
    ledger.clock.forward(hours=1)

    assert state_of(ledger, demand) is DemandState.ENDED


def test_empty_ledger_knows_nobody(schemas: SchemaRepository) -> None:
    with refused("E_UNKNOWN_DEPARTMENT"):
        SubmitDemand(demander=TAX, resource=ENTERPRISES, schemas=schemas)(LedgerState(), START)

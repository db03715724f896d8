from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.automatic import EndExpired
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.state import demand_state
from exchange.broker.demands.submit import SubmitDemand, WithdrawDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue, RotateSecret
from exchange.broker.departments.tokens import IssueToken, RevokeToken, authenticate, digest, new_token
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import BreakFreshness, RestoreFreshness
from exchange.broker.grants.place import PlaceGrant, placement
from exchange.broker.grants.shares import DeleteShare
from exchange.broker.grants.suspend import ResumeGrant, RevokeGrant, SuspendGrant
from exchange.catalogue.load import load
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandState, GrantEntry
from exchange.names import DemandId, Department
from exchange.settings import Settings
from tests.harness.memory.ledger import START, MemoryLedger

TAX = Department("taxation")
HUMAN_RESOURCES = Department("human-resources")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "批量交换"}
Grant = Callable[..., GrantEntry]


@pytest.fixture
def grant(ledger: MemoryLedger, schemas: SchemaRepository) -> Grant:
    def grant(**asked: Any) -> GrantEntry:
        defaults: dict[str, Any] = {"demander": TAX, "resource": "102001/0001", "fields": ("credit_code", "name")}
        stated = STATED | {"scenario": f"duty {ledger.state.seq}"}
        made = ledger.execute(SubmitDemand(**(defaults | stated | asked), schemas=schemas))
        demand = ledger.state.demands[DemandId(made.entities[0])]
        assert demand.provider is not None
        ledger.execute(ConsentDemand(demand=demand.demand, by=demand.provider, schemas=schemas))
        return ledger.state.grants[demand.grants[0]]

    return grant


def state_of(ledger: MemoryLedger, grant: GrantEntry) -> DemandState:
    return demand_state(ledger.state, ledger.state.demands[grant.demand], ledger.clock.now())


def refused(code: str) -> Any:
    return pytest.raises(ExchangeError, match=f"^{code}:")


def serve(ledger: MemoryLedger, schemas: SchemaRepository, grant: GrantEntry) -> None:
    ledger.execute(PlaceGrant(grant.grant, schemas))
    ledger.execute(ActivateGrant(grant.grant))
    ledger.execute(MarkFirstDelivered(grant.grant, empty=False))


def test_grant_lives_from_consent_to_service(ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant) -> None:
    one = grant()
    seen = [state_of(ledger, one)]
    for command in (
        PlaceGrant(one.grant, schemas),
        ActivateGrant(one.grant),
        MarkFirstDelivered(one.grant, empty=True),
        BreakFreshness(one.grant, "grantee", START),
        BreakFreshness(one.grant, "provider", START),
        RestoreFreshness(one.grant, "grantee"),
        RestoreFreshness(one.grant, "provider"),
        SuspendGrant(one.grant, None, "misuse is looked into"),
        ResumeGrant(one.grant, None),
        RevokeGrant(one.grant, None, "misuse"),
    ):
        ledger.execute(command)
        seen.append(state_of(ledger, one))

    assert [state.value for state in seen] == [
        "consented",
        "activating",
        "activating",
        "serving",
        "breached",
        "breached",
        "breached",
        "serving",
        "suspended",
        "serving",
        "ended",
    ]


def test_said_twice_is_said_once(ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant) -> None:
    one = grant()
    for command in (
        PlaceGrant(one.grant, schemas),
        ActivateGrant(one.grant),
        MarkFirstDelivered(one.grant, empty=False),
        BreakFreshness(one.grant, "exchange", START),
        RestoreFreshness(one.grant, "exchange"),
        SuspendGrant(one.grant, None, "a reason"),
        ResumeGrant(one.grant, None),
    ):
        assert ledger.execute(command).entities
        assert ledger.execute(command).entities == ()


def test_new_share_has_a_locked_schema_of_its_own(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    one = grant(fields=("credit_code", "established", "name"), masks={"established": "year"})
    expected = placement(ledger.state, one.grant, schemas)

    ledger.execute(PlaceGrant(one.grant, schemas))

    assert expected == ("legal-entity.registration.100000", True)
    assert one.share == expected[0]
    share = ledger.state.shares[one.share]
    assert share.schema_id == 100_000
    assert [(item["name"], item["type"]) for item in share.schema["fields"]] == [
        ("credit_code", "string"),
        ("name", "string"),
        ("established", "string"),
    ]
    assert ledger.state.next_schema_id == 100_001


def test_equal_terms_of_a_type_that_is_not_personal_read_one_share(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    first, second, other = grant(), grant(demander=HUMAN_RESOURCES), grant(fields=("credit_code", "status"))

    for one in (first, second, other):
        ledger.execute(PlaceGrant(one.grant, schemas))

    assert first.share == second.share != other.share
    assert len(ledger.state.shares) == 2


def test_personal_and_pseudonymous_grants_each_have_their_own_share(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    personal = [
        grant(demander=demander, resource="101001/0001", fields=("resident_id",)) for demander in (TAX, HUMAN_RESOURCES)
    ]
    pseudonymous = [grant(demander=demander, fields=("name",)) for demander in (TAX, HUMAN_RESOURCES)]

    for one in (*personal, *pseudonymous):
        ledger.execute(PlaceGrant(one.grant, schemas))

    assert len({one.share for one in (*personal, *pseudonymous)}) == 4


def test_share_name_is_never_given_twice(ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant) -> None:
    first = grant()
    ledger.execute(PlaceGrant(first.grant, schemas))
    with refused("E_GRANT_STATE"):
        ledger.execute(DeleteShare(str(first.share)))
    ledger.execute(WithdrawDemand(demand=first.demand, by=TAX))
    assert ledger.execute(DeleteShare(str(first.share))).entities
    assert ledger.execute(DeleteShare(str(first.share))).entities == ()

    second = grant()
    ledger.execute(PlaceGrant(second.grant, schemas))

    assert second.share == "legal-entity.registration.100001"


def test_grant_is_not_activated_without_share_or_before_its_period(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    one = grant(use_from=START + timedelta(hours=1))
    with refused("E_GRANT_STATE"):
        ledger.execute(ActivateGrant(one.grant))
    ledger.execute(PlaceGrant(one.grant, schemas))
    with refused("E_GRANT_STATE"):
        ledger.execute(ActivateGrant(one.grant))
    ledger.clock.forward(hours=1)

    assert ledger.execute(ActivateGrant(one.grant)).entities == (one.grant,)
    assert ledger.events[-1].data == {"grant": one.grant, "demand": one.demand, "share": one.share}


def test_first_delivery_needs_an_active_grant(ledger: MemoryLedger, grant: Grant) -> None:
    with refused("E_GRANT_STATE"):
        ledger.execute(MarkFirstDelivered(grant().grant, empty=False))


def test_expired_grants_end_together_and_no_others(
    ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant
) -> None:
    until = START + timedelta(hours=1)
    expiring = [grant(use_until=until), grant(demander=HUMAN_RESOURCES, use_until=until)]
    lasting = grant(fields=("credit_code",))
    assert ledger.execute(EndExpired()).entities == ()
    ledger.clock.forward(hours=1)

    assert ledger.execute(EndExpired()).entities == tuple(one.grant for one in expiring)
    assert {one.end_reason for one in expiring} == {"expired"}
    assert lasting.ended is None
    assert ledger.execute(EndExpired()).entities == ()


def test_nothing_happens_to_an_ended_grant(ledger: MemoryLedger, schemas: SchemaRepository, grant: Grant) -> None:
    one = grant()
    serve(ledger, schemas, one)
    ledger.execute(RevokeGrant(one.grant, Department("market-regulation"), "the law has changed"))

    for command in (
        PlaceGrant(one.grant, schemas),
        ActivateGrant(one.grant),
        MarkFirstDelivered(one.grant, empty=False),
        BreakFreshness(one.grant, "grantee", START),
        RestoreFreshness(one.grant, "grantee"),
        SuspendGrant(one.grant, None, "late"),
        ResumeGrant(one.grant, None),
        RevokeGrant(one.grant, None, "again"),
    ):
        with refused("E_GRANT_STATE"):
            ledger.execute(command)
        with refused("E_UNKNOWN_GRANT"):
            ledger.execute(type(command)(**{**_arguments(command), "grant": "g-999"}))


def _arguments(command: Any) -> dict[str, Any]:
    return {slot: getattr(command, slot) for slot in command.__slots__}


def test_only_the_provider_or_an_operator_ends_a_grant_and_says_why(ledger: MemoryLedger, grant: Grant) -> None:
    one = grant()

    with refused("E_ROLE"):
        ledger.execute(RevokeGrant(one.grant, TAX, "not mine"))
    with refused("E_REVOKE_REASON"):
        ledger.execute(RevokeGrant(one.grant, None, " "))
    with refused("E_REVOKE_REASON"):
        ledger.execute(SuspendGrant(one.grant, Department("market-regulation"), ""))
    assert one.ended is None


# catalogue, departments, tokens


def test_catalogue_applied_twice_changes_nothing(ledger: MemoryLedger) -> None:
    assert ledger.execute(ApplyCatalogue.of(load(Settings().catalogue))).entities == ()


def test_catalogue_brings_only_the_difference(ledger: MemoryLedger) -> None:
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    changed = whole.resources[0] | {"update_cycle_seconds": 5}
    seq = ledger.state.seq

    ledger.execute(ApplyCatalogue(whole.departments, (changed, *whole.resources[2:])))

    assert [event.event for event in ledger.events[seq:]] == ["resource-published", "resource-withdrawn"]
    assert ledger.state.resources[whole.resources[1]["resource"]].withdrawn
    ledger.execute(whole)
    assert not ledger.state.resources[whole.resources[1]["resource"]].withdrawn


def test_demand_of_a_withdrawn_resource_is_refused(ledger: MemoryLedger, schemas: SchemaRepository) -> None:
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    ledger.execute(ApplyCatalogue(whole.departments, ()))

    with refused("E_UNKNOWN_RESOURCE"):
        ledger.execute(SubmitDemand(demander=TAX, resource="102001/0001", fields=("name",), schemas=schemas))


def test_department_stays_registered_when_its_entry_changes(ledger: MemoryLedger) -> None:
    assert not ledger.state.departments[TAX].registered
    ledger.execute(AddDepartment("taxation"))
    assert ledger.execute(AddDepartment("taxation")).entities == ()
    whole = ApplyCatalogue.of(load(Settings().catalogue))
    renamed = tuple(data | {"name": "another"} if data["department"] == TAX else data for data in whole.departments)

    ledger.execute(ApplyCatalogue(renamed, whole.resources))

    assert ledger.state.departments[TAX].registered
    assert ledger.state.departments[TAX].name == "another"


@pytest.mark.parametrize("command", [AddDepartment, RotateSecret])
@pytest.mark.parametrize(("name", "code"), [("nobody", "E_UNKNOWN_DEPARTMENT"), ("admin", "E_NAME_INVALID")])
def test_unknown_or_reserved_department_is_refused(ledger: MemoryLedger, command: Any, name: str, code: str) -> None:
    with refused(code):
        ledger.execute(command(name))


def test_secret_of_a_department_without_principal_cannot_be_rotated(ledger: MemoryLedger) -> None:
    with refused("E_UNKNOWN_DEPARTMENT"):
        ledger.execute(RotateSecret("taxation"))
    ledger.execute(AddDepartment("taxation"))

    assert ledger.execute(RotateSecret("taxation")).entities == ("taxation",)


def test_token_is_known_by_its_digest_until_it_is_revoked(ledger: MemoryLedger) -> None:
    text = new_token()
    token = ledger.execute(IssueToken("department", "taxation", digest(text))).entities[0]

    found = authenticate(ledger.state, text, START)
    assert found is not None
    assert (found.token, found.role, found.department) == (token, "department", "taxation")
    assert authenticate(ledger.state, text + "x", START) is None
    assert all(text not in str(event.exported()) for event in ledger.events)
    ledger.execute(RevokeToken(token))

    assert authenticate(ledger.state, text, START) is None
    assert ledger.execute(RevokeToken(token)).entities == ()


@pytest.mark.parametrize(
    ("role", "department", "code"),
    [
        ("king", None, "E_REQUEST"),
        ("department", None, "E_REQUEST"),
        ("operator", "taxation", "E_REQUEST"),
        ("department", "nobody", "E_UNKNOWN_DEPARTMENT"),
    ],
)
def test_token_of_another_form_is_refused(ledger: MemoryLedger, role: str, department: str | None, code: str) -> None:
    with refused(code):
        ledger.execute(IssueToken(role, department, "d"))


def test_idempotency_key_covers_arguments_and_not_secrets(ledger: MemoryLedger) -> None:
    first = ledger.execute(IssueToken("auditor", None, digest(new_token())), "operator", "key")

    again = ledger.execute(IssueToken("auditor", None, digest(new_token())), "operator", "key")
    assert (again.entities, again.repeated) == (first.entities, True)
    with refused("E_IDEMPOTENCY"):
        ledger.execute(IssueToken("supervisor", None, digest(new_token())), "operator", "key")


def test_time_never_runs_backwards_in_the_ledger(ledger: MemoryLedger) -> None:
    ledger.clock.forward(hours=-1)
    ledger.execute(AddDepartment("taxation"))

    moments = [event.moment for event in ledger.events]
    assert moments == sorted(moments)

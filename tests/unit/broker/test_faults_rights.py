"""`faults.<department>` belongs to its department alone: nobody else writes it, and nobody else reads it."""

from exchange import names
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.departments.succession import has_ended
from exchange.broker.enforcement.wanted import own_acls, wanted
from exchange.catalogue.load import load
from exchange.kafka.admin.admin import Acl
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger


def reaches(acl: Acl, topic: str) -> bool:
    return acl.resource == "topic" and (topic.startswith(acl.name) if acl.prefixed else topic == acl.name)


def test_only_the_department_itself_reads_and_writes_its_faults() -> None:
    ledger = MemoryLedger()
    ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    for department in list(ledger.state.departments):
        ledger.execute(AddDepartment(department), "operator")
    now = wanted(ledger.state, ledger.clock.now(), None, ())
    departments = [one.department for one in ledger.state.departments.values() if one.registered]
    assert len(departments) > 5
    for department in departments:
        topic = names.faults_topic(department)
        assert topic in now.topics
        rights = {(acl.principal, acl.operation) for acl in (*now.acls, *own_acls()) if reaches(acl, topic)}
        own = {(department, "read"), (department, "write")}
        assert rights == (set() if has_ended(ledger.state, department, ledger.clock.now()) else own)

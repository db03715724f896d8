"""Credit lives and ends: what is repaired or over leaves every department that held it, and the books show it."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from exchange import names
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.settings import KafkaSettings
from tests.harness.kafka.credit import FINE, PROVIDER, TYPE, CreditHarness, Servers

pytestmark = pytest.mark.kafka
SECONDS = 10.0


@pytest.fixture(scope="module")
def credit(
    admin: Admin,
    admin_connection: Connection,
    kafka_settings_for: Callable[[str], KafkaSettings],
    postgres: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[CreditHarness]:
    """Everything has arrived at all three holders."""
    servers = Servers(admin_connection, admin, kafka_settings_for, postgres.database)
    with CreditHarness(servers, tmp_path_factory.mktemp("credit"), "credit-ends") as harness:
        harness.until(lambda: settled(harness))
        yield harness


def settled(harness: CreditHarness) -> bool:
    """Whether every holder has what its grant gives, and all books say that everything was taken and applied."""
    everyone, fines = harness.submitted(), harness.submitted(f"AND kind = '{FINE}'")
    credit, finance, banks = harness.holders
    if [harness.held(holder) for holder in (credit, finance, banks)] != [everyone, everyone, fines]:
        return False
    accounts = harness.books()
    shares = [accounts[holder.share] for holder in harness.holders]
    return accounts[None].entries["in_flight"] == 0 and all(
        account.handed_over.records == account.entries["forwarded"] + account.entries["retracted"] for account in shares
    )


def retracted(harness: CreditHarness) -> list[int]:
    accounts = harness.books()
    assert [account.difference for account in accounts.values()] == [0] * 4
    return [accounts[holder.share].entries["retracted"] for holder in harness.holders]


def values(harness: CreditHarness, topic: str, number: str) -> list[bool]:
    """Of each record about a document: whether it is a tombstone."""
    return [message.value() is None for message in harness.records(topic, number)]


def test_a_repaired_penalty_is_withdrawn_everywhere_it_went_and_the_books_show_it(credit: CreditHarness) -> None:
    repaired = min(credit.submitted(f"AND kind <> '{FINE}'"))
    before = retracted(credit)
    began = time.monotonic()
    credit.sql(
        PROVIDER,
        "UPDATE penalties SET repair_state = '2', withdrawn = true WHERE document_number = %s",
        repaired,
    )
    held_by = [holder for holder in credit.holders if not holder.scope]
    credit.until(lambda: not any(repaired in credit.held(holder) for holder in held_by))
    assert time.monotonic() - began < SECONDS
    credit.until(lambda: retracted(credit) == [before[0] + 1, before[1] + 1, before[2]] and settled(credit))
    assert values(credit, names.registry_topic(TYPE), repaired) == [False, True]
    for holder in held_by:
        assert values(credit, names.share_topic(holder.share), repaired) == [False, True]
    stranger = credit.holders[-1]
    assert values(credit, names.share_topic(stranger.share), repaired) == []


def test_a_penalty_whose_disclosure_is_over_leaves_every_table(credit: CreditHarness) -> None:
    over = min(credit.submitted(f"AND kind = '{FINE}'"))
    last = credit.clock.now().date() + timedelta(days=1)
    credit.sql(PROVIDER, "UPDATE penalties SET expires_at = %s WHERE document_number = %s", last, over)
    topic = names.registry_topic(TYPE)
    credit.until(lambda: values(credit, topic, over) == [False, False])
    before = retracted(credit)
    credit.clock.forward(days=2)
    credit.until(lambda: not any(over in credit.held(holder) for holder in credit.holders))
    credit.until(lambda: retracted(credit) == [count + 1 for count in before])
    assert values(credit, topic, over) == [False, False, True]
    assert credit.books()[None].entries["expired"] == 1
    for holder in credit.holders:
        assert values(credit, names.share_topic(holder.share), over)[-1]

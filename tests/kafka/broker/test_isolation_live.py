"""One share that Kafka refuses: it alone is left out, everybody can see why, and a command brings it back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exchange import names
from exchange.broker.grants.shares import OrderRecovery
from exchange.broker.grants.suspend import RevokeGrant
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Acl
from exchange.kafka.admin.topic_settings import set_topic_settings, topic_settings
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.names import Department, GrantId, ShareName, share_topic
from exchange.web import views
from tests.harness.kafka.broker_service import Office, company

pytestmark = pytest.mark.kafka
TAX, HR = Department("taxation"), Department("human-resources")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with (
        EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as kafka,
        Office(tmp_path_factory.mktemp("office"), kafka) as office,
    ):
        yield office


@pytest.fixture
def grants(office: Office, numbers: Iterator[int]) -> tuple[GrantId, GrantId]:
    """A grant that will suffer and one that shall not notice, each with a share of its own."""
    fields = (("name", "status"), ("name", "region"))
    office.write([company(next(numbers)) for _ in range(20)])
    ill, well = (office.consent(who, ("credit_code", *some)) for who, some in zip((TAX, HR), fields, strict=True))
    for grant in (ill, well):
        office.until(lambda grant=grant: len(content(office, grant)) >= 20, f"the share of {grant} is filled")  # type: ignore[misc]
    return ill, well


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1000))


@pytest.fixture(autouse=True)
def ended(office: Office) -> Iterator[None]:
    """What a test consented to is over when it ends."""
    yield
    for grant in office.service.ledger.read(lambda state: [one for one in state.grants.values() if one.ended is None]):
        office.execute(RevokeGrant(grant.grant, None, "the test is over"))


def share(office: Office, grant: GrantId) -> ShareName:
    return office.entry(grant).share or ShareName("")


def content(office: Office, grant: GrantId) -> dict[str, dict[str, Any]]:
    return office.content(share(office, grant))


def shown(office: Office, grant: GrantId) -> dict[str, Any]:
    return office.service.ledger.read(lambda state: views.grant(state, state.grants[grant]))


def breached(office: Office, grant: GrantId) -> bool:
    return "exchange" in office.entry(grant).breaches


def falls_ill(
    office: Office, grants: tuple[GrantId, GrantId], hurt: Callable[[], None], row: dict[str, Any], *codes: str
) -> None:
    """Hurt the first share; a new record then reaches the second one alone, and the ledger says why."""
    ill, well = grants
    before = content(office, ill)
    hurt()
    office.write([row])
    office.until(lambda: row["credit_code"] in content(office, well), "the other share goes on")
    office.until(lambda: shown(office, ill)["share_suspended"] is not None, "the share is said to be suspended")
    assert shown(office, ill)["share_suspended"] in codes
    assert shown(office, ill)["shares"][0]["suspended"]["code"] in codes
    office.until(lambda: breached(office, ill), "the grant is in breach")
    assert not breached(office, well)
    assert shown(office, well)["share_suspended"] is None
    assert content(office, ill).keys() <= before.keys()


def recovers(office: Office, grants: tuple[GrantId, GrantId], row: dict[str, Any]) -> None:
    """The command brings the share back with everything that it missed, and it goes on."""
    ill, well = grants
    office.execute(OrderRecovery(ill))
    office.until(lambda: row["credit_code"] in content(office, ill), "the share has what it missed")
    office.until(lambda: not breached(office, ill), "the breach is over")
    assert shown(office, ill)["share_suspended"] is None
    office.write([company(500 + int(row["credit_code"][1:]))])
    office.until(lambda: content(office, ill).keys() == content(office, well).keys(), "both are equal")


def test_a_forbidden_share_suffers_alone_and_comes_back_in_place(
    office: Office, grants: tuple[GrantId, GrantId], numbers: Iterator[int]
) -> None:
    before = share(office, grants[0])
    brake = Acl(names.DELIVERY, "topic", share_topic(before), "write", permission="deny")

    def forbid() -> None:
        office.admin.grant([brake])
        office.until(lambda: brake in office.admin.acls(), "the line is forbidden to write")

    row = company(next(numbers))
    falls_ill(office, grants, forbid, row, "E_SHARE_UNWRITABLE")
    office.admin.revoke([brake])
    office.until(lambda: brake not in office.admin.acls(), "the line may write")
    recovers(office, grants, row)
    assert share(office, grants[0]) == before
    assert office.service.ledger.read(lambda state: state.shares[before].recoveries) == 1


def test_a_share_that_is_too_small_suffers_alone_and_comes_back_in_place(
    office: Office, grants: tuple[GrantId, GrantId], numbers: Iterator[int]
) -> None:
    before = share(office, grants[0])
    topic, setting = share_topic(before), "max.message.bytes"

    def shrink() -> None:
        set_topic_settings(office.connection, {topic: {setting: "100"}})

    row = company(next(numbers))
    falls_ill(office, grants, shrink, row, "E_SHARE_UNWRITABLE")
    recovers(office, grants, row)  # the command makes the topic what it was made as, too
    assert share(office, grants[0]) == before
    made_with = topic_config(TopicKind.SHARE)[setting]
    assert topic_settings(office.connection, [topic])[topic][setting] == made_with


def test_a_share_whose_topic_is_gone_suffers_alone_and_is_replaced(
    office: Office, grants: tuple[GrantId, GrantId], numbers: Iterator[int]
) -> None:
    before = share(office, grants[0])

    def delete() -> None:
        office.admin.delete_topics([share_topic(before)])
        office.until(lambda: share_topic(before) not in office.admin.topics(), "the topic is gone")

    row = company(next(numbers))
    # "Unwritable" is what the line says at once; "lost" what the broker service says when it has looked twice.
    falls_ill(office, grants, delete, row, "E_SHARE_UNWRITABLE", "E_SHARE_LOST")
    assert share_topic(before) not in office.admin.topics(), "a share's topic is never made again under its name"
    recovers(office, grants, row)
    assert share(office, grants[0]) != before
    assert share_topic(before) not in office.admin.topics()

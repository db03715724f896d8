"""What groups have committed."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from exchange.clock import Deadline
from exchange.kafka.admin import group_offsets
from exchange.kafka.admin.group_offsets import GroupOffsets
from exchange.kafka.client.connection import Connection

pytestmark = pytest.mark.kafka
GROUPS = 30


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AdminClient]]:
    made: list[AdminClient] = []

    def make(config: dict[str, object]) -> AdminClient:
        made.append(AdminClient(config))
        return made[-1]

    monkeypatch.setattr(group_offsets, "AdminClient", make)
    yield made


def test_many_groups_are_asked_by_one_client(
    admin_connection: Connection, unique: str, made: list[AdminClient]
) -> None:
    offsets = GroupOffsets(admin_connection)
    for number in range(GROUPS):
        assert offsets.committed(f"{unique}.{number}", None, Deadline.after(30)) == {}
    assert len(made) == 1

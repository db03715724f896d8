"""What the tests of a whole province share: one that runs, started when the first of them asks."""

from collections.abc import Iterator

import pytest

from exchange.testing.province import Province


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    """A province of some 600 rows in which everything has arrived. Whoever changes a row waits with `settle`."""
    with Province(tmp_path_factory.mktemp("province")) as running:
        yield running.start(600)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop the province behind its last test: a dozen processes would weigh on every test that follows."""
    last = next(
        one for one in reversed(item.session.items) if "province" in getattr(one, "fixturenames", ()) or one is item
    )
    running = getattr(item, "funcargs", {}).get("province")
    if running is not None and item is last:
        running.close()

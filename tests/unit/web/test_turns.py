"""No caller takes all of what is worked on; health is answered when nothing else is."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from exchange.clock import Deadline
from exchange.web.problems import RateLimitError
from exchange.web.turns import COMMANDS, Places, Turns
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET = "taxation", "market-regulation"
WAITING = 45


class AwayLedger(MemoryLedger):
    """A ledger whose Kafka is away for the commands of one actor, until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.back = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.away_for: str | None = None

    def execute(self, command: Any, actor: str = "exchange", *rest: Any, **more: Any) -> Any:
        """Wait until Kafka is back."""
        if actor == self.away_for:
            self.waiting.release()
            self.back.wait(60.0)
        return super().execute(command, actor, *rest, **more)


@pytest.fixture
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    service = MemoryService(AwayLedger())
    service.apply_catalogue("operator", None)
    with web_harness(tmp_path_factory.mktemp("turns"), service) as harness:
        yield harness


def waiting_commands(harness: WebHarness, who: str) -> tuple[list[threading.Thread], AwayLedger]:
    ledger = harness.service.ledger
    assert isinstance(ledger, AwayLedger)
    headers = harness.as_(who)
    ledger.away_for = who
    post = lambda: httpx.post(  # noqa: E731
        f"{harness.url}/v1/demands/d-1/withdraw", json={}, headers=headers, trust_env=False, timeout=60.0
    )
    threads = [threading.Thread(target=post) for _ in range(WAITING)]
    for thread in threads:
        thread.start()
    for _ in range(min(WAITING, COMMANDS.each)):
        assert ledger.waiting.acquire(timeout=30.0)
    return threads, ledger


def test_health_readings_and_commands_of_others_go_on_while_45_commands_wait_for_kafka(harness: WebHarness) -> None:
    harness.as_(MARKET)
    harness.post(TAX, "/v1/demands", {"resource": "102001/0001", "fields": ["name"]}).raise_for_status()
    harness.service.ledger.state.demands["d-1"] = next(iter(harness.service.ledger.state.demands.values()))  # type: ignore[index]
    threads, ledger = waiting_commands(harness, TAX)
    try:
        with httpx.Client(base_url=harness.url, trust_env=False, timeout=20.0) as http:
            assert [http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
            assert http.get("/v1/demands", headers=harness.as_(MARKET)).status_code == 200
            assert http.get("/v1/demands", headers=harness.as_(TAX)).status_code == 200
            refused = http.post("/v1/demands/none/withdraw", json={}, headers=harness.as_(MARKET))
            assert refused.status_code == 404, "a command of another one was worked on"
            assert not ledger.back.is_set()
    finally:
        ledger.back.set()
        for thread in threads:
            thread.join()


def run(work: Callable[[], Any]) -> None:
    asyncio.run(work())


def test_a_caller_has_its_places_and_others_have_theirs() -> None:
    async def work() -> None:
        turns = Turns(Places(all=3, each=2))
        first, _ = [await turns.take("one") for _ in range(2)]
        third = asyncio.create_task(turns.take("one"))
        give_back = await turns.take("another")
        assert not third.done()
        give_back()
        await asyncio.sleep(0)
        assert not third.done(), "a place for others is none for it"
        first()
        await third

    run(work)


def test_those_who_wait_are_served_in_turn_not_by_who_asks_most() -> None:
    async def work() -> None:
        turns, served = Turns(Places(all=1, each=1)), []
        held = await turns.take("holder")

        async def ask(caller: str) -> None:
            give_back = await turns.take(caller)
            served.append(caller)
            give_back()

        many = [asyncio.create_task(ask("many")) for _ in range(4)]
        await asyncio.sleep(0)
        one = asyncio.create_task(ask("single"))
        await asyncio.sleep(0)
        held()
        await asyncio.gather(*many, one)
        assert served == ["many", "single", "many", "many", "many"]

    run(work)


def test_more_that_wait_than_may_are_told_to_come_again() -> None:
    async def work() -> None:
        turns = Turns(Places(all=1, each=1, waiting=1))
        give_back = await turns.take("one")
        waits = asyncio.create_task(turns.take("one"))
        await asyncio.sleep(0)
        with pytest.raises(RateLimitError):
            await turns.take("one")
        give_back()
        (await waits)()
        (await turns.take("one"))()

    run(work)


def test_who_goes_away_while_waiting_leaves_no_place_behind() -> None:
    async def work() -> None:
        turns = Turns(Places(all=1, each=1))
        give_back = await turns.take("one")
        gone = asyncio.create_task(turns.take("two"))
        late = asyncio.create_task(turns.take("three"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        give_back()
        late.cancel()  # in the moment in which it was given
        await asyncio.gather(gone, late, return_exceptions=True)
        deadline = Deadline.after(10.0)
        (await asyncio.wait_for(turns.take("four"), deadline.remaining()))()

    run(work)

"""A worked year: departments live through a year of demands over the HTTP API, at simulated times, from one seed.

Departments, the competent department and the operator act through the API alone. What the leader and evidence do by
themselves (automatic consents, activation, first delivery, breaches, ends) is done as they do it: by their commands.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
from fastapi import FastAPI

from exchange.broker.demands.automatic import AnnounceExpiry, ConsentUnconditional, EndExpired
from exchange.broker.departments.succession import SettleSuccession
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.amend import EndOverlaps, SwitchShare
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import BreakFreshness, RestoreFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.calendar import ZONE
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.errors import ExchangeError
from exchange.ledger.events.event import write_line
from exchange.ledger.store.command import Command
from exchange.names import GrantId
from exchange.settings import HttpSettings, Settings
from tests.harness.memory.ledger import MemoryLedger, SetClock
from tests.harness.memory.service import MemoryService

Life = Generator[float, None, None]
"""What happens to a demand: yields for how many days nothing happens."""
App = Callable[[MemoryService, HttpSettings], FastAPI]
LATE_RESOURCE = "106001/0001"
"""What nobody offers before the middle of the year."""
_OPERATOR_TOKEN = "operator-token-of-the-worked-year"
_TOKEN_DAYS = 500
_REFUSED = range(400, 500)


class WorkedYear:
    """The world of one year. A context manager; `run` lets the planned lives happen in the order of time."""

    def __init__(self, number: int, seed: int, folder: Path, app: App) -> None:
        """folder: for the operator's first token. app: makes the HTTP application over a service."""
        self.random = random.Random(seed)
        self.start = datetime(number, 1, 1, tzinfo=ZONE)
        self.end = datetime(number + 1, 1, 1, tzinfo=ZONE)
        self.clock = SetClock(self.start + timedelta(minutes=1))
        self.service = MemoryService(MemoryLedger(self.clock))
        self.catalogue = self._catalogue()
        self.refusals: Counter[str] = Counter()
        """Codes of the problems that commands were answered with."""
        self.steps: Counter[str] = Counter()
        """Commands that were accepted, by the last part of their path."""
        self._plan: list[tuple[datetime, int, Life]] = []
        self._number = 0
        file = folder / "operator.token"
        file.write_text(_OPERATOR_TOKEN, encoding="utf-8")
        settings = HttpSettings(operator_token_file=file, requests_per_second=100_000, request_burst=1_000_000)
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app(self.service, settings)), base_url="http://exchange"
        )
        self._loop = asyncio.Runner()
        self._tokens = {"operator": _OPERATOR_TOKEN}

    def __enter__(self) -> Self:
        self.publish(without=LATE_RESOURCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._http.aclose())
        self._loop.close()

    def _catalogue(self) -> Catalogue:
        """The shipped catalogue; for indicators a person has to consent."""
        shipped = load(Settings().catalogue)
        person = shipped.resources[LATE_RESOURCE].model_copy(update={"consent": "person"})
        return shipped.model_copy(update={"resources": {**shipped.resources, LATE_RESOURCE: person}})

    # acting

    def publish(self, without: str = "") -> None:
        """Bring the catalogue into the ledger, perhaps without one resource."""
        offered = {code: one for code, one in self.catalogue.resources.items() if code != without}
        self.service._catalogue = self.catalogue.model_copy(update={"resources": offered})
        self.post("operator", "/v1/catalogue")

    def post(self, who: str, path: str, **body: Any) -> dict[str, Any] | None:
        """Send a command as a department, or as `operator` or `supervisor`; the answer, or None when it is refused."""
        answer = self._send("POST", who, path, json=body)
        if answer.status_code in _REFUSED:
            self.refusals[answer.json()["code"]] += 1
            return None
        assert answer.is_success, answer.text
        self.steps[path.rsplit("/", 1)[-1]] += 1
        found: dict[str, Any] = answer.json()
        return found

    def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        """Ask something."""
        answer = self._send("GET", who, path, params=params)
        assert answer.is_success, answer.text
        return answer

    def _send(self, method: str, who: str, path: str, **rest: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token(who)}"}
        return self._loop.run(self._http.request(method, path, headers=headers, **rest))

    def _token(self, who: str) -> str:
        if who not in self._tokens:
            role = who if who in ("supervisor", "auditor") else "department"
            issued = self.post(
                "operator", "/v1/tokens", role=role, department=who if role == "department" else None, days=_TOKEN_DAYS
            )
            assert issued is not None
            self._tokens[who] = issued["token"]
        return self._tokens[who]

    # what the leader and evidence do

    def do(self, command: Command) -> bool:
        """Do something as the exchange itself; whether it was possible."""
        try:
            self.service.ledger.execute(command)
        except ExchangeError as error:
            self.refusals[error.code] += 1
            return False
        self.steps[type(command).__name__] += 1
        return True

    def tick(self) -> None:
        """What the leader does because of the law or of time alone."""
        for command in (ConsentUnconditional(self.service.schemas), EndExpired(), AnnounceExpiry(), SettleSuccession()):
            self.service.ledger.execute(command)
        self.service.ledger.execute(EndOverlaps())

    def activate(self, grant: str) -> bool:
        """Share, topic and rights are there."""
        return self.do(PlaceGrant(grant, self.service.schemas)) and self.do(ActivateGrant(grant))

    def switch(self, grant: str) -> bool:
        """The share of an amendment has joined."""
        return self.do(PlaceGrant(grant, self.service.schemas)) and self.do(SwitchShare(grant))

    def deliver(self, grant: str) -> bool:
        """The grantee has taken what stood there."""
        return self.do(MarkFirstDelivered(grant, empty=self.random.random() < 0.1))

    def breach(self, grant: str, cause: str, opens: bool) -> bool:
        """A cause of a breach opens or closes."""
        if opens:
            return self.do(BreakFreshness(grant, cause, self.clock.now() - timedelta(hours=1)))
        return self.do(RestoreFreshness(grant, cause))

    def runs(self, grant: str) -> bool:
        """Whether a grant has not ended."""
        return self.service.ledger.state.grants[GrantId(grant)].ended is None

    # time

    def plan(self, at: datetime, life: Life) -> None:
        """Let a life begin at a moment."""
        self._number += 1
        heapq.heappush(self._plan, (at, self._number, life))

    def run(self) -> None:
        """Let everything happen that is planned in the year, and the leader look twice a day."""
        self.plan(self.start + timedelta(minutes=5), self._ticks())
        while self._plan and self._plan[0][0] < self.end:
            at, _number, life = heapq.heappop(self._plan)
            self.clock.moment = at
            days = next(life, None)
            if days is not None:
                self.plan(at + timedelta(milliseconds=round(days * 86_400_000)), life)
        self.clock.moment = self.end

    def _ticks(self) -> Life:
        while True:
            self.tick()
            yield 0.5

    def export(self) -> str:
        """The ledger as `exchange ledger export` writes it."""
        return "".join(write_line(event) for event in self.service.ledger.events)

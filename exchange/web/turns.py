"""Whose request is worked on next: a caller has so many at work at the same time, its others wait for these.

Work takes threads, and threads are shared by all. A command waits for Kafka in one, a long list is made in one. So
commands have theirs and readings have theirs, and no caller has all of a kind. A request gives its place back when its
answer begins: how long a client takes to read it is nobody's concern.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.web.problems import RateLimitError

_TURN: Final = "exchange.turn"
_READINGS: Final = ("GET", "HEAD")
_LONGEST_WAIT_SECONDS: Final = 20.0
_RETRY_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Places:
    """How many requests of a kind are worked on at the same time."""

    all: int
    each: int
    """Of one caller."""
    waiting: int = 1_000
    """How many of one caller wait besides; more are answered 429."""


COMMANDS: Final = Places(all=96, each=32)
READINGS: Final = Places(all=16, each=4)
THREADS: Final = COMMANDS.all + READINGS.all + 40
"""Of the server, so that whoever has a place finds a thread."""


class Turns:
    """The requests of one kind that are worked on, and those that wait. For one event loop."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._working: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By caller; callers in the order in which they are next."""

    async def take(self, caller: str) -> Callable[[], None]:
        """Wait for a place; gives what gives it back. Raises RateLimitError when too many wait, or for too long."""
        if self._free(caller) and caller not in self._waiting:
            self._working[caller] += 1
        else:
            await self._wait(caller)
        return self._once(caller)

    def _free(self, caller: str) -> bool:
        return self._working.total() < self._places.all and self._working[caller] < self._places.each

    async def _wait(self, caller: str) -> None:
        queue = self._waiting.setdefault(caller, deque())
        if len(queue) >= self._places.waiting:
            raise RateLimitError(_RETRY_SECONDS)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came in the moment in which nobody wanted it any more
                self._give_back(caller)
            elif turn in self._waiting.get(caller, ()):
                self._waiting[caller].remove(turn)
                self._tidy(caller)
            if isinstance(error, TimeoutError):
                raise RateLimitError(_RETRY_SECONDS) from None
            raise

    def _once(self, caller: str) -> Callable[[], None]:
        given = False

        def give_back() -> None:
            nonlocal given
            if not given:
                given = True
                self._give_back(caller)

        return give_back

    def _give_back(self, caller: str) -> None:
        self._working[caller] -= 1
        if not self._working[caller]:
            del self._working[caller]
        for following in list(self._waiting):
            if not self._free(following):
                continue
            queue = self._waiting.pop(following)
            while queue and self._free(following):
                turn = queue.popleft()
                if not turn.done():
                    self._working[following] += 1
                    turn.set_result(None)
                    break
            if queue:
                self._waiting[following] = queue  # behind the others

    def _tidy(self, caller: str) -> None:
        if not self._waiting[caller]:
            del self._waiting[caller]


class TurnTaking:
    """Gives back the place of a request when its answer begins, or when there is none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        turn: list[Callable[[], None]] = []
        scope[_TURN] = turn

        async def answering(message: Message) -> None:
            for give_back in turn:
                give_back()
            await send(message)

        try:
            await self._app(scope, receive, answering)
        finally:
            for give_back in turn:
                give_back()


class AllTurns:
    """Those of commands and those of readings."""

    def __init__(self, commands: Places = COMMANDS, readings: Places = READINGS) -> None:
        self._commands, self._readings = Turns(commands), Turns(readings)

    async def take(self, scope: Any, caller: str) -> None:
        """Wait until the request of a caller may be worked on. Raises RateLimitError."""
        kind = self._readings if scope["method"] in _READINGS else self._commands
        give_back = await kind.take(caller)
        scope[_TURN].append(give_back)

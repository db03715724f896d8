"""Whatever happens in whatever order, a share ends as the cut of the registry, and nobody learns what it must not."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.ledger.state.ledger_state import Condition, ShareEntry
from tests.harness.delivery_checker import fault
from tests.harness.memory.delivery import DeliveryMemory, company, share_entry

KEYS = ("a", "b", "c", "d")
CITY, ELSEWHERE = "340100", "350000"
SCOPE = (Condition("region", "equals", (CITY,)),)
SHARES: dict[str, dict[str, Any]] = {
    "s": {},
    "ss": {"scope": SCOPE},
    "sss": {"fields": ("code",), "scope": SCOPE},
    "ssss": {"fields": ("name",), "pseudonymous": True},
}
HIDDEN = "share.ssss"
WRITE = st.tuples(st.just("write"), st.sampled_from(KEYS), st.sampled_from(["same", "new", "leave", "withdraw"]))
LIVE = st.tuples(st.just("live"), st.integers(1, 3))
IDLE = st.tuples(st.just("idle"))
GRANT = st.tuples(st.just("grant"), st.sampled_from(sorted(SHARES)))
SELDOM = st.one_of(
    st.tuples(st.just("die"), st.integers(0, 3)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("refuse"), st.sampled_from(sorted(SHARES))),
    st.tuples(st.just("mend"), st.sampled_from(sorted(SHARES))),
    st.tuples(st.just("heartbeat")),
    st.tuples(st.just("marker")),
    st.tuples(st.just("compact")),
)
ACTIONS = st.one_of(WRITE, WRITE, WRITE, LIVE, LIVE, IDLE, IDLE, IDLE, GRANT, SELDOM)


@pytest.fixture(autouse=True, scope="module")
def small_steps() -> Iterator[None]:
    """Backfills that take many transactions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exchange.delivery.backfill._SENT_AT_ONCE", 1)
        patch.setattr("exchange.delivery.backfill._SEEN_AT_ONCE", 2)
        yield


class Scene:
    """A registry, its unit, and the shares that were granted; remembers what it did."""

    def __init__(self, personal: bool) -> None:
        self.bus = DeliveryMemory(personal=personal, most=1)
        self.versions: dict[str, list[dict[str, Any] | None]] = {key: [] for key in KEYS}
        self.granted: dict[str, dict[str, int]] = {}
        """Of each share: how many versions of each key there were at the grant."""
        self.entries: dict[str, ShareEntry] = {}
        self.refused: set[str] = set()
        self._count = 0

    def act(self, name: str, *arguments: Any) -> None:
        getattr(self, name)(*arguments)

    def write(self, key: str, how: str) -> None:
        last = self.versions[key][-1] if self.versions[key] else None
        self._count += 1
        if how == "withdraw":
            if last is None:
                return  # admission lets only what it knows be withdrawn
            record = None
        elif how == "same" and last is not None:
            record = last
        else:
            record = company(key, f"n{self._count}", ELSEWHERE if how == "leave" else CITY)
        self.versions[key].append(record)
        self.bus.write((key, record))

    def live(self, records: int) -> None:
        self.bus.send(self.bus.untaken(records))

    def idle(self) -> None:
        if self.bus.unit.pending():
            self.bus.send([])

    def die(self, records: int) -> None:
        self.bus.send(self.bus.untaken(records), commit=lambda: False)

    def restart(self) -> None:
        self.bus.restart()

    def grant(self, name: str) -> None:
        if name not in self.entries:
            self.granted[name] = {key: len(found) for key, found in self.versions.items()}
            self.entries[name] = share_entry(name, **SHARES[name])
            self.bus.want(*self.entries.values())

    def refuse(self, name: str) -> None:
        self.refused.add(name)
        self.bus.restart([f"share.{name}"])

    def mend(self, name: str) -> None:
        if name in self.entries:
            entry = self.entries[name]
            self.entries[name] = replace(entry, recoveries=entry.recoveries + 1)
            self.bus.want(*self.entries.values())

    def heartbeat(self) -> None:
        self.bus.write(("~", None))

    def marker(self) -> None:
        self.bus.mark()

    def compact(self) -> None:
        self.bus.compact()

    def finish(self) -> None:
        """Everything is mended, taken and joined."""
        self.restart()
        for name in self.entries:
            self.mend(name)
        self.bus.settle()

    def faults(self, name: str) -> list[str | None]:
        """What is wrong with a share, key by key."""
        received: dict[str, list[Any]] = {}
        for key, record in self.bus.delivered(name):
            received.setdefault(key, []).append(record)
        received.pop("~", None)
        found: list[str | None] = []
        for key in KEYS:
            versions = self.versions[key][max(0, self.granted[name][key] - 1) :]
            shown = [self.shown(name, version) for version in versions]
            seen = self.of_key(name, key, received)
            found.append(fault(seen, shown))
            if self.bus.parts.writers[self.bus.unit._unit.record_type].personal:
                found += ["told twice" for one, two in pairwise(seen) if one == two]
        return found

    def shown(self, name: str, version: dict[str, Any] | None) -> dict[str, Any] | None:
        terms = SHARES[name]
        if version is None or ("scope" in terms and version["region"] != CITY):
            return None
        return {field: version[field] for field in terms.get("fields", ("code", "name"))}

    def of_key(self, name: str, key: str, received: dict[str, list[Any]]) -> list[Any]:
        if not SHARES[name].get("pseudonymous"):
            return received.get(key, [])
        assert not received.keys() & set(KEYS)
        names = {version["name"] for version in self.versions[key] if version is not None}
        return next((found for found in received.values() if any(one and one["name"] in names for one in found)), [])


@settings(deadline=None, max_examples=250)
@given(st.booleans(), st.lists(ACTIONS, min_size=10, max_size=50))
def test_share_ends_as_the_cut_of_the_registry_and_shows_nothing_else(personal: bool, actions: list[Any]) -> None:
    scene = Scene(personal)
    for action in actions:
        scene.act(*action)
    scene.finish()
    for name in scene.entries:
        joined, books = scene.bus.state.joins[name], scene.bus.counts(name)
        assert joined.suspended is None
        assert books.difference == 0
        assert scene.bus.state.taken - joined.taken - books.taken == 0
        known = personal or "scope" in SHARES[name] or name not in scene.refused
        faults = [found for found in scene.faults(name) if found]
        assert [found for found in faults if known or found != fault([None], [])] == []
    sequences = [
        int(dict(headers)["ce_sequence"]) for topic, *_, headers in scene.bus.records if topic == HIDDEN and headers
    ]
    assert all(one < two for one, two in pairwise(sequences)), "the order of a share's own goes on over everything"

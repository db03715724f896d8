"""The desk of digests: few readings at a time, one version all the way down, and nothing is kept for long."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.names import SchemaId, TopicName
from exchange.reconcile import desk
from exchange.reconcile.desk import ShareDigests
from exchange.reconcile.fold import Entry, Fold, key_hash
from exchange.reconcile.share import ShareForm


class Shares:
    """Stands in the place of shares on Kafka."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.readings = 0
        self.reading = self.most_reading = 0
        self.fails = False
        self.moved = True
        self.closed: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, _connection: Any, form: ShareForm, stop: threading.Event) -> "OneShare":
        return OneShare(self, form)


class OneShare:
    def __init__(self, shares: Shares, form: ShareForm) -> None:
        self._shares = shares
        self._form = form
        self.fold = Fold()

    def advance(self) -> None:
        shares = self._shares
        with shares._lock:
            shares.reading += 1
            shares.most_reading = max(shares.most_reading, shares.reading)
        assert shares.go_on.wait(10)
        with shares._lock:
            shares.reading -= 1
            shares.readings += 1
            number = shares.readings
        if shares.fails:
            raise ExchangeError("E_KAFKA_UNREACHABLE")
        key = f"key {number}".encode()
        self.fold.put([Entry(key_hash(key), key_hash(b"content"), key, 0, 0)])

    def ended(self) -> bool:
        return not self._shares.moved

    def close(self) -> None:
        self._shares.closed.append(self._form.topic)
        self.fold.close()


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    found = Shares()
    monkeypatch.setattr(desk, "ShareFold", found)
    return found


class Time:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def digests(shares: Shares, time: Time) -> Iterator[ShareDigests]:
    made = ShareDigests(None, time)  # type: ignore[arg-type]
    yield made
    shares.go_on.set()
    made.close()


def form(number: int = 0, pseudonymous: bool = False) -> ShareForm:
    return ShareForm(TopicName(f"share.{number}"), 1, SchemaId(100_000), {}, frozenset(), pseudonymous)


def root(digests: ShareDigests, asked: ShareForm) -> dict[str, Any]:
    """The root, as soon as it is there."""
    deadline = Deadline.after(10)
    while True:
        found = digests.ask(asked, b"", None)
        if found is not None:
            return found
        assert not deadline.passed


def refused(digests: ShareDigests, asked: ShareForm, prefix: bytes, version: int | None) -> None:
    with pytest.raises(ExchangeError) as caught:
        digests.ask(asked, prefix, version)
    assert caught.value.code == "E_DIGESTS"


def test_who_asks_first_is_told_that_the_share_is_read(digests: ShareDigests, shares: Shares) -> None:
    shares.go_on.clear()
    assert digests.ask(form(), b"", None) is None
    assert digests.ask(form(), b"", None) is None
    shares.go_on.set()
    assert root(digests, form())["records"] == 1
    assert shares.readings == 1


def test_the_way_down_stays_in_one_version(digests: ShareDigests) -> None:
    first = root(digests, form())
    below = digests.ask(form(), key_hash(b"key 1")[:1], first["version"])
    assert below is not None
    assert below["version"] == first["version"]
    second = root(digests, form())
    assert second["version"] != first["version"]
    refused(digests, form(), b"\0", first["version"])


def test_a_share_that_has_not_moved_keeps_its_version(digests: ShareDigests, shares: Shares) -> None:
    first = root(digests, form())
    shares.moved = False
    assert root(digests, form())["version"] == first["version"]
    assert shares.readings == 1


def test_while_it_is_read_again_the_way_down_is_refused_and_not_kept_waiting(
    digests: ShareDigests, shares: Shares
) -> None:
    first = root(digests, form())
    shares.go_on.clear()
    assert digests.ask(form(), b"", None) is None
    refused(digests, form(), b"\0", first["version"])


def test_a_version_that_nobody_made_is_refused(digests: ShareDigests) -> None:
    refused(digests, form(), b"", 7)
    refused(digests, form(), b"\0", 7)


def test_two_shares_are_read_at_a_time_and_four_are_kept(digests: ShareDigests, shares: Shares, time: Time) -> None:
    shares.go_on.clear()
    for number in range(6):
        assert digests.ask(form(number), b"", None) is None
    shares.go_on.set()
    for number in range(4):
        root(digests, form(number))
    assert shares.most_reading <= 2
    assert digests.ask(form(5), b"", None) is None
    assert shares.readings == 4
    time.seconds += 301.0
    root(digests, form(5))
    assert sorted(shares.closed) == [f"share.{number}" for number in range(4)]


def test_a_reading_that_fails_is_told_once_and_then_tried_again(digests: ShareDigests, shares: Shares) -> None:
    shares.fails = True
    with pytest.raises(ExchangeError) as caught:
        root(digests, form())
    assert caught.value.code == "E_KAFKA_UNREACHABLE"
    shares.fails = False
    assert root(digests, form())["records"] == 1


def test_a_share_that_hides_its_keys_is_not_gone_down_in(digests: ShareDigests) -> None:
    hidden = form(pseudonymous=True)
    found = root(digests, hidden)
    assert set(found) == {"version", "records", "contents"}
    refused(digests, hidden, b"\0", found["version"])
    refused(digests, hidden, key_hash(b"key 1"), found["version"])

"""Two pseudonymous shares of one record type have nothing in their headers by which their records could be joined."""

import pytest

from exchange.delivery.cutting.order import Order
from exchange.delivery.forward import pseudonymous_headers
from exchange.delivery.state import Counts
from exchange.intake.encode import MOST_SEQUENCE
from tests.harness.memory.delivery import DeliveryMemory, company, share_entry

NAMELESS = {"pseudonymous": True, "fields": ("name", "region")}
SECRET = b"s" * 32


def headers(bus: DeliveryMemory, share: str = "s") -> list[dict[str, bytes]]:
    return [dict(told) for topic, *_, told in bus.records if topic == f"share.{share}" and told is not None]


def order(bus: DeliveryMemory, share: str = "s") -> list[int]:
    """From 1 on."""
    start = int(headers(bus, share)[0]["ce_sequence"]) - 1
    return [int(told["ce_sequence"]) - start for told in headers(bus, share)]


@pytest.fixture
def bus() -> DeliveryMemory:
    return DeliveryMemory()


def test_two_pseudonymous_shares_have_no_header_in_common_but_provider_and_day(bus: DeliveryMemory) -> None:
    bus.want(share_entry("s", **NAMELESS), share_entry("t2", **NAMELESS))
    bus.take(("a", company("a")), ("b", company("b")))
    bus.take(("a", company("a", name="second")), ("b", None))
    for one in headers(bus):
        for other in headers(bus, "t2"):
            assert {name for name, _ in set(one.items()) & set(other.items())} == {"ce_source", "ce_time"}


def test_the_order_of_a_share_is_not_the_registrys() -> None:
    told = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"id"),
        ("ce_source", b"/departments/x"),
        ("ce_type", b"t"),
        ("ce_time", b"2026-11-24T16:00:00.123Z"),
        ("content-type", b"application/avro"),
        ("ce_sequence", b"1764000000123456"),
        ("traceparent", b"00-1-2-01"),
    ]
    found = dict(pseudonymous_headers(SECRET, Order(7), told))
    again = dict(pseudonymous_headers(SECRET, Order(8), told))
    assert int(found["ce_sequence"]) + 1 == int(again["ce_sequence"])
    assert found["ce_sequence"] != dict(pseudonymous_headers(SECRET, Order(7, SECRET), told))["ce_sequence"]
    assert found["ce_time"] == b"2026-11-25T00:00:00+08:00", "of the time the day in China"
    assert found["ce_id"] != b"id"
    assert "traceparent" not in found


@pytest.mark.parametrize(
    "time", [b"", b"yesterday", b"\xff", b"9999-12-31T23:59:59-14:00", b"0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_not_passed_on(time: bytes) -> None:
    assert "ce_time" not in dict(pseudonymous_headers(SECRET, Order(), [("ce_time", time)]))


def test_the_order_goes_on_over_restarts_deaths_and_a_full_queue() -> None:
    bus = DeliveryMemory(full=True)
    bus.want(share_entry("s", **NAMELESS))
    bus.take(("a", company("a")), ("b", company("b")))
    bus.restart()
    bus.take(("a", company("a", name="second")), ("b", None))
    bus.send(bus.write(("a", company("a", name="third"))), lambda: False)
    bus.settle()
    assert order(bus) == [1, 2, 3, 4, 5]


def test_a_share_that_is_taken_up_again_goes_on_in_its_order(bus: DeliveryMemory) -> None:
    bus.want(share_entry("s", **NAMELESS))
    bus.take(("a", company("a")), ("b", company("b")))
    bus.restart(refused=["share.s"])
    bus.take(("a", company("a", name="second")))
    bus.restart()
    bus.want(share_entry("s", recoveries=1, **NAMELESS))
    bus.settle()
    bus.take(("a", company("a", name="third")), ("b", None))
    found = order(bus)
    assert found == sorted(set(found)) and len(found) >= 4


def test_a_backfill_is_in_the_order_of_the_share_too(bus: DeliveryMemory) -> None:
    bus.take(*((str(number), company(str(number))) for number in range(9)))
    bus.want(share_entry("s", **NAMELESS))
    bus.settle()
    bus.take(("3", company("3", name="new")), ("4", None))
    assert order(bus) == list(range(1, 12))


@pytest.mark.parametrize("secret", [bytes([n]) * 32 for n in range(20)])
def test_the_order_goes_on_where_a_share_carried_the_registrys_sequences(secret: bytes) -> None:
    first, last = int(Order(0, secret).next()), int(Order(1 << 60, secret).next())
    assert MOST_SEQUENCE < first < last < 1 << 63, "databases hold it in a signed integer of 64 bits"


def test_a_clear_share_keeps_the_registrys_headers(bus: DeliveryMemory) -> None:
    bus.want(share_entry("s"))
    bus.take(("a", company("a")))
    assert headers(bus) == [
        {"ce_id": b"id", "ce_source": b"/departments/market-regulation", "ce_time": b"2026-11-24T00:00:00Z"}
    ]
    assert bus.counts() == Counts(taken=1, forwarded=1)

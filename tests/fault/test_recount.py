"""The recount of the fault suite sees every kind of fault: a judge that finds nothing wrong is worth nothing else."""

from typing import Any, ClassVar, cast

import pytest

from tests.harness.faults.harness import FaultHarness
from tests.harness.faults.plan import Plan
from tests.harness.faults.recount import Reading, Recount, Seen, holds_resident_id

DUE: Seen = [(1, 11), (4, 44), (7, None)]
"""Two versions and a withdrawal."""


class Schemas:
    def latest(self, _subject: str) -> Any:
        return self

    schema: ClassVar[dict[str, list[Any]]] = {"fields": []}


class Harness:
    schemas = Schemas()
    granted_at: ClassVar[dict[tuple[str, int], int]] = {}


def faults(found: Seen, due: Seen) -> set[str]:
    reading = Reading(lambda _topic: iter(()), lambda _schema: lambda _value: None)
    recount = Recount(cast(FaultHarness, Harness()), Plan(1, 0, 8), reading)
    recount.compare("share", {b"key": found} if found else {}, {b"key": due} if due else {})
    return {fault.removeprefix("share: ") for fault in recount.faults}


@pytest.mark.parametrize(
    ("found", "due", "wrong"),
    [
        (DUE, DUE, set()),
        ([], DUE, {"missing"}),
        ([(1, 11), (7, None)], DUE, {"missing"}),
        ([(1, 11), (1, 11), (4, 44), (7, None)], DUE, {"double"}),
        ([(4, 44), (1, 11), (7, None)], DUE, {"out of order"}),
        ([(1, 11), (4, 45), (7, None)], DUE, {"wrong value"}),
        ([(1, 11), (4, 44)], DUE, {"missing", "wrong final value"}),
        ([*DUE, (9, 99)], DUE, {"not to be seen", "wrong final value"}),
        ([(2, None)], [], {"a tombstone to a non-holder"}),
    ],
)
def test_every_kind_of_fault_is_seen(found: Seen, due: Seen, wrong: set[str]) -> None:
    assert faults(found, due) == wrong


def test_identifiers_of_people_are_told_from_digits_of_pseudonyms_that_look_like_them() -> None:
    (person,) = Plan(1, 0, 8).resident_ids[:1]
    assert holds_resident_id(b"4f" + person + b"a0") and holds_resident_id(b"34993499"[:4] + person)
    looks_alike = person[:-1] + (b"0" if person[-1:] != b"0" else b"1")
    assert not holds_resident_id(b"4f" + looks_alike + b"a0")
    assert not holds_resident_id(b"d3499817263549081727a")

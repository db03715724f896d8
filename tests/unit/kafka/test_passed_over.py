"""Which topics a member of a group was passed over with, told from what it has of the others."""

import pytest

from exchange.kafka.line.subscription import passed_over
from exchange.names import TopicName

OLD, NEW, SMALL, LARGE = map(TopicName, ("old", "new", "small", "large"))


@pytest.mark.parametrize(
    ("subscribed", "assigned", "expected"),
    [
        ({OLD: 6, NEW: 6}, {(OLD, 4), (OLD, 5)}, {NEW}),
        ({OLD: 6, NEW: 12}, {(OLD, 4)}, {NEW}),
        ({OLD: 12, NEW: 6}, {(OLD, 0)}, {NEW}),
        ({OLD: 12, NEW: 6}, {(OLD, 11)}, set()),
        ({OLD: 6, NEW: 6}, {(OLD, 0), (NEW, 0), (NEW, 1)}, set()),
        ({OLD: 6, NEW: 6}, set(), set()),
        ({OLD: 6, NEW: 6, SMALL: 1}, {(OLD, 5), (NEW, 5)}, set()),
        ({OLD: 6, SMALL: 6, LARGE: 12}, {("gone", 3)}, set()),
        ({}, {("gone", 0)}, set()),
    ],
)
def test_who_has_some_of_one_topic_must_have_some_of_each_that_is_as_wide(
    subscribed: dict[TopicName, int], assigned: set[tuple[str, int]], expected: set[str]
) -> None:
    assert passed_over(subscribed, assigned) == expected

"""The erasure bounds follow from the settings that topics are made with."""

from datetime import timedelta

import pytest

from exchange.kafka.admin.topics import ERASED_WITHIN, HEARTBEAT_EVERY, TOMBSTONES_KEPT, TopicKind, topic_config

SWEEP = timedelta(minutes=7)
"""Brokers look for old segments every five minutes and delete files a minute later."""
CLEANING = timedelta(hours=6)
"""For the cleaner's work on a large partition."""
HOLDERS = set(ERASED_WITHIN)
KEPT = {kind for kind in HOLDERS if topic_config(kind)["cleanup.policy"] == "delete"}


def setting(kind: TopicKind, name: str) -> timedelta:
    return timedelta(milliseconds=int(topic_config(kind)[name]))


def test_the_bounds_are_those_that_the_exchange_promises() -> None:
    days = {kind: time / timedelta(days=1) for kind, time in ERASED_WITHIN.items()}
    assert days[TopicKind.INBOX] == days[TopicKind.REDRIVE] == 14
    assert days[TopicKind.REGISTRY] == days[TopicKind.SHARE] == days[TopicKind.LINE_STATE] == 3.5
    assert days[TopicKind.QUARANTINE] == days[TopicKind.FAULTS] == 30
    assert days[TopicKind.CORRECTION] == 90


def test_every_kind_of_topic_that_may_hold_records_or_keys_has_a_bound() -> None:
    without = {TopicKind.LEDGER, TopicKind.SNAPSHOT, TopicKind.RECEIPT, TopicKind.REPORT}
    assert set(TopicKind) - HOLDERS == without


@pytest.mark.parametrize("kind", sorted(KEPT, key=str))
def test_a_kept_topic_drops_a_record_in_time_though_it_waits_for_the_last_of_its_segment(kind: TopicKind) -> None:
    latest = setting(kind, "segment.ms") + setting(kind, "retention.ms") + SWEEP
    assert latest <= ERASED_WITHIN[kind]
    assert latest >= ERASED_WITHIN[kind] - timedelta(days=1)


@pytest.mark.parametrize("kind", sorted(HOLDERS - KEPT, key=str))
def test_a_compacted_topic_closes_the_segment_of_an_old_value_before_it_must_be_cleaned(kind: TopicKind) -> None:
    lag = setting(kind, "max.compaction.lag.ms")
    closed = setting(kind, "segment.ms") + HEARTBEAT_EVERY
    not_yet = topic_config(kind).get("min.compaction.lag.ms", "0")
    assert lag / 2 >= HEARTBEAT_EVERY
    assert closed + timedelta(milliseconds=int(not_yet)) <= lag
    assert lag + CLEANING <= ERASED_WITHIN[kind]


def test_the_state_of_the_lines_loses_the_keys_of_withdrawn_records_too() -> None:
    """A key is gone when a second cleaning comes after its tombstone has been kept long enough."""
    kind = TopicKind.LINE_STATE
    first = setting(kind, "max.compaction.lag.ms")
    second = first + HEARTBEAT_EVERY + first
    assert setting(kind, "delete.retention.ms") <= second - first
    assert second + CLEANING <= ERASED_WITHIN[kind]


@pytest.mark.parametrize("kind", [TopicKind.REGISTRY, TopicKind.SHARE])
def test_tombstones_outlive_the_absence_that_readers_are_promised(kind: TopicKind) -> None:
    assert setting(kind, "delete.retention.ms") >= TOMBSTONES_KEPT


def test_tombstones_of_a_registry_outlive_what_could_bring_a_withdrawn_record_back() -> None:
    known = setting(TopicKind.REGISTRY, "min.compaction.lag.ms") + setting(TopicKind.REGISTRY, "delete.retention.ms")
    assert known > max(ERASED_WITHIN[TopicKind.QUARANTINE], ERASED_WITHIN[TopicKind.INBOX])

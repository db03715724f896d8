"""Pauses between attempts, and what is done now and then."""

import threading

from exchange.backoff import Backoff
from exchange.clock import Every

BACKOFF = Backoff(first=0.5, longest=3.0)


def test_pauses_double_up_to_the_longest_however_many_attempts_failed() -> None:
    assert [BACKOFF.pause(failures) for failures in (1, 2, 3, 4, 5, 1_000_000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_attempts_have_a_pause_before_each_but_the_first() -> None:
    rested: list[float] = []
    for attempt in BACKOFF.attempts(threading.Event(), rested.append):
        if attempt == 4:
            break
    assert rested == [0.5, 1.0, 2.0]


def test_a_stop_in_a_pause_leads_to_no_further_attempt() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert list(Backoff(first=60.0, longest=60.0).attempts(stop)) == [1]
    assert list(BACKOFF.attempts(stop)) == []


def test_what_is_done_now_and_then_is_due_at_first_and_not_again_too_soon() -> None:
    often, rarely = Every(0.0), Every(60.0)
    assert often.due and rarely.due
    often.done()
    rarely.done()
    assert often.due and not rarely.due

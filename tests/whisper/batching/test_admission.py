"""Whose windows are decoded next."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.whisper.batching.admission import MAX_ADMISSION, WaitingWindows
from speech_endpoint.whisper.batching.sequence import Caller, DecodeRequest, RequestGroup

pytestmark = pytest.mark.pure
SAMPLES = (np.zeros(1, np.float32),)


def _wait(waiting: WaitingWindows, caller: Caller, n: int, group: RequestGroup | None = None):
    group = group or RequestGroup(caller=caller)
    requests = [DecodeRequest(group, i, float(i), SAMPLES) for i in range(n)]
    for request in requests:
        waiting.add(request)
    return requests


def _order(waiting: WaitingWindows, n_slots: int) -> list[Caller]:
    """Who is served, where each window that is taken is done at once."""
    order = []
    while waiting:
        order += [r.group.caller for r in waiting.take(n_slots, n_slots, Counter())]
    return order


def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    waiting, long, short = WaitingWindows(), Caller(), Caller(is_short=True)
    _wait(waiting, long, 20)
    _wait(waiting, short, 2)
    order = _order(waiting, 8)
    assert order[:3].count(short) == 2 and order.count(long) == 20


def test_short_requests_get_two_windows_for_one_of_a_long_one() -> None:
    waiting, long, short = WaitingWindows(), Caller(), Caller(is_short=True)
    _wait(waiting, long, 20)
    _wait(waiting, short, 10)
    assert Counter(_order(waiting, 8)[:15]) == {short: 10, long: 5}


def test_a_long_request_leaves_slots_while_others_wait() -> None:
    waiting, long, other = WaitingWindows(), Caller(), Caller()
    _wait(waiting, long, 20)
    assert len(waiting.take(8, 8, Counter())) == MAX_ADMISSION
    _wait(waiting, other, 1)
    assert {r.group.caller for r in waiting.take(2, 8, Counter({long: 6}))} == {other}
    assert len(waiting.take(2, 8, Counter({long: 6}))) == 2


def test_a_long_request_is_passed_over_for_a_time() -> None:
    waiting, long, short = WaitingWindows(), Caller(), Caller(is_short=True)
    _wait(waiting, long, 3)
    assert waiting.take(4, 8, Counter(), only_short=True) == []
    _wait(waiting, short, 1)
    assert [r.group.caller for r in waiting.take(4, 8, Counter(), only_short=True)] == [short]


def test_nobody_holds_more_slots_than_it_asks_for() -> None:
    waiting, modest = WaitingWindows(), Caller(max_slots=2)
    _wait(waiting, modest, 5)
    assert len(waiting.take(8, 8, Counter())) == 2
    assert waiting.take(6, 8, Counter({modest: 2})) == []


def test_windows_of_different_options_are_not_taken_together() -> None:
    waiting, caller = WaitingWindows(), Caller()
    with_prompt, without = RequestGroup(caller=caller), RequestGroup(caller=caller)
    _wait(waiting, caller, 3, with_prompt)
    _wait(waiting, caller, 3, without)
    while waiting:
        assert len({r.group for r in waiting.take(8, 8, Counter())}) == 1


def test_a_caller_who_is_gone_waits_no_longer() -> None:
    waiting, gone, other = WaitingWindows(), Caller(), Caller()
    _wait(waiting, gone, 5)
    _wait(waiting, other, 2)
    waiting.drop(gone)
    waiting.drop(gone)
    assert set(_order(waiting, 8)) == {other}


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=6), st.integers(1, 9))
def test_every_window_is_taken_once_each_callers_in_order(callers, n_slots: int) -> None:
    waiting, expected = WaitingWindows(), {}
    for is_short, n in callers:
        caller = Caller(is_short)
        expected[caller] = _wait(waiting, caller, n)
    taken: dict[Caller, list[DecodeRequest]] = {caller: [] for caller in expected}
    while waiting:
        requests = waiting.take(n_slots, n_slots, Counter())
        assert 0 < len(requests) <= n_slots
        taken[requests[0].group.caller] += requests
    assert taken == expected

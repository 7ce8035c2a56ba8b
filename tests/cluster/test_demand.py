"""How many replicas a service needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.cluster.demand import (
    CATCH_UP_S,
    RATE_WINDOW_S,
    UTILISATION,
    ArrivalRate,
    replicas_for,
)

pytestmark = pytest.mark.pure

rates = st.floats(0, 1e6)
speeds = st.floats(0.5, 500)


@given(rates, rates, speeds)
def test_what_arrives_and_waits_is_done_in_time_and_no_replica_is_idle(arriving, queued_s, speed):
    n = replicas_for(arriving, queued_s, speed)
    work = arriving / UTILISATION + queued_s / CATCH_UP_S
    assert (n - 1) * speed * (1 - 1e-9) <= work <= n * speed * (1 + 1e-9) or n == 0 == work


@given(rates, rates, rates, rates, speeds)
def test_more_audio_never_wants_fewer_replicas(arriving, queued_s, more, longer, speed):
    few = replicas_for(arriving, queued_s, speed)
    assert replicas_for(arriving + more, queued_s + longer, speed) >= few


def test_who_has_nothing_to_do_needs_nobody():
    assert replicas_for(0.0, 0.0, 30.0) == 0


def test_a_steady_load_wants_replicas_before_anything_waits():
    assert replicas_for(arriving=2400.0, queued_s=0.0, speed=100.0) == 30


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1e5)), max_size=40), st.floats(0, 200))
def test_the_rate_is_that_of_the_last_minute(steps, later_s):
    rate, now_s, arrived = ArrivalRate(), 1000.0, []
    for pause_s, audio_s in steps:
        now_s += pause_s
        arrived.append((now_s, audio_s))
        rate.add(now_s, audio_s)
    now_s += later_s
    lately_s = sum(audio_s for at_s, audio_s in arrived if at_s > now_s - RATE_WINDOW_S)
    assert rate.rate(now_s) == pytest.approx(lately_s / RATE_WINDOW_S, abs=1e-6)
    assert rate.rate(now_s + RATE_WINDOW_S + 1e-6) == 0.0

"""Who is refused, and when to come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.service.backlog import Backlog, ServiceLimits
from speech_endpoint.service.events import Overloaded

pytestmark = pytest.mark.pure


def _backlog(speed: float = 10.0, **limits: float) -> Backlog:
    backlog = Backlog(ServiceLimits(**limits))
    backlog.measure(speed * 10, 10.0)
    return backlog


def test_the_wait_is_what_is_done_of_others_meanwhile() -> None:
    backlog = _backlog(speed=10.0)
    backlog.add("long", 0)
    backlog.update("long", 600.0)
    # Callers take turns: of a long file a short one waits for as much as it is itself.
    assert backlog.wait_s() == pytest.approx(3.0)
    assert backlog.wait_s(300 * 16_000) == pytest.approx(30.0)
    assert backlog.wait_s(10_000 * 16_000) == pytest.approx(60.0)
    backlog.measure(200.0, 40.0)
    assert backlog.wait_s() > 3.0


def test_one_long_file_shuts_nobody_out() -> None:
    backlog = _backlog(speed=10.0, max_wait_s=100.0)
    backlog.add("four hours", 0)
    backlog.update("four hours", 14_400.0)
    backlog.check()


def test_whoever_finds_nobody_waiting_is_admitted_however_long_it_takes() -> None:
    _backlog(speed=0.1, max_wait_s=1.0).check()


def test_whoever_would_wait_too_long_is_told_when_to_come_back() -> None:
    backlog = _backlog(speed=10.0, max_wait_s=100.0)
    backlog.add("long", 0)
    backlog.update("long", 1_200.0)
    own_bytes = 2_000 * 16_000
    with pytest.raises(Overloaded) as refusal:
        backlog.check(own_bytes)
    assert refusal.value.retry_after_s == 70.0
    # When that time has passed, at this speed, there is room.
    backlog.update("long", 1_200.0 - 70.0 * 10.0)
    backlog.check(own_bytes)


def test_there_are_no_more_jobs_than_are_allowed() -> None:
    backlog = _backlog(max_requests=2)
    backlog.add("a", 0)
    backlog.check()
    backlog.add("b", 0)
    with pytest.raises(Overloaded, match="as many as are allowed"):
        backlog.check()
    backlog.remove("a")
    backlog.check()


def test_a_job_that_is_over_stays_over() -> None:
    backlog = _backlog()
    backlog.add("a", 32_000)
    assert backlog.queued_s == 2.0
    backlog.remove("a")
    backlog.update("a", 50.0)
    assert backlog.queued_s == 0.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e4))))
def test_whatever_is_measured_the_retry_is_soon_and_the_speed_is_one(measured) -> None:
    backlog = Backlog(ServiceLimits(max_wait_s=1.0))
    backlog.add("a", 10**9)
    for audio_s, work_s in measured:
        backlog.measure(audio_s, work_s)
        assert backlog.speed > 0
    if backlog.wait_s() > 1.0:
        with pytest.raises(Overloaded) as refusal:
            backlog.check()
        assert 1 <= refusal.value.retry_after_s <= 120

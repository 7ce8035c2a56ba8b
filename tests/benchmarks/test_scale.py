"""The simulation behind docs/scale.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale.__main__ import PAGE, cards_table, written
from benchmarks.scale.cards import load_cards
from benchmarks.scale.controllers import ByAudio, ByQueuedAudio, Endpoints, Fixed
from benchmarks.scale.simulation import (
    DAY_S,
    Controller,
    day_of_arrivals,
    replicas_at_peak,
    simulate,
    threefold_arrivals,
)

pytestmark = pytest.mark.pure

arrivals = st.lists(st.integers(0, 500_000), max_size=200)
speeds = st.floats(0.5, 300)


def controllers(speed: float) -> list[Controller]:
    return [
        Fixed(2),
        ByQueuedAudio(8000, 12, down_delay_s=20),
        ByAudio(8000, 12, speed, down_delay_s=20),
        Endpoints(8000, 12, 1.5, 50),
    ]


@given(arrivals, speeds, st.integers(0, 90), st.integers(0, 3), st.sampled_from(range(4)))
def test_all_audio_is_served_refused_or_waits(arrived, speed, start_s, n_at_first, which):
    controller = controllers(speed)[which]
    day = simulate(arrived, speed, controller, start_s=start_s, n_at_first=n_at_first)
    assert day.arrived_ms == sum(arrived)
    assert day.arrived_ms == day.served_ms + day.refused_ms + day.waiting_ms
    assert min(day.served_ms, day.refused_ms, day.waiting_ms) >= 0


@given(arrivals, speeds, st.integers(1, 20), st.integers(1, 20))
def test_with_more_replicas_nobody_waits_longer_and_no_more_is_refused(arrived, speed, n, more):
    few, many = (
        simulate(arrived, speed, Fixed(count), start_s=0, n_at_first=count)
        for count in (n, n + more)
    )
    assert many.refused_ms <= few.refused_ms
    assert max(many.waits_s) <= max(few.waits_s) + 1e-9
    if not few.refused_ms:
        pairs = zip(many.waits_s, few.waits_s, strict=True)
        assert all(wait <= longer + 1e-9 for wait, longer in pairs)


@given(arrivals, speeds, st.integers(1, 300))
def test_nobody_who_is_admitted_waits_longer_than_the_limit(arrived, speed, max_wait_s):
    day = simulate(arrived, speed, Fixed(1), start_s=0, n_at_first=1, max_wait_s=max_wait_s)
    assert max(day.waits_s) <= max_wait_s


@given(arrivals, speeds, st.integers(0, 90), st.sampled_from(range(4)))
def test_the_same_day_goes_the_same_way(arrived, speed, start_s, which):
    first, second = (
        simulate(arrived, speed, controllers(speed)[which], start_s=start_s, n_at_first=1)
        for _ in range(2)
    )
    assert first == second


def test_a_replica_that_starts_is_paid_for_and_serves_only_when_it_is_ready():
    day = simulate([1000] * 20, 1.0, Fixed(1), start_s=10, n_at_first=0)
    assert day.replica_s == 19
    assert day.refused_ms == 11_000
    assert day.served_ms == 9_000


def test_a_days_arrivals_are_the_hours_asked_for():
    day = day_of_arrivals(1000, clip_s=30)
    assert len(day) == DAY_S
    assert sum(day) / 3_600_000 == pytest.approx(1000, rel=0.02)
    assert day == day_of_arrivals(1000, clip_s=30)


def test_the_replicas_of_the_busiest_hour_refuse_nobody():
    day = day_of_arrivals(5000, clip_s=30)
    n = replicas_at_peak(5000, speed=100)
    found = simulate(day, 100, Fixed(n), start_s=0, n_at_first=n)
    assert found.refused_ms == 0
    assert found.wait_s(0.99) < 5


def test_what_arrives_scales_without_the_swings_that_the_queue_alone_makes():
    speed, n = 100.0, 10
    arrived = threefold_arrivals(0.8 * n * speed, clip_s=30)
    by_audio, by_queue = (
        simulate(arrived, speed, controller, start_s=180, n_at_first=n)
        for controller in (ByAudio(30_000, 12, speed), ByQueuedAudio(30_000, 12))
    )
    assert by_audio.n_max < 1.5 * 3 * n < 5 * 3 * n < by_queue.n_max
    assert by_audio.refused_share < 0.02


def test_a_replica_with_speakers_is_slower_and_dearer_an_hour():
    for card in load_cards().values():
        for model in card.rtfx:
            assert card.speed(model, speakers=True) < card.speed(model, speakers=False)
            words, both = (card.usd_per_audio_hour(model, speakers=s) for s in (False, True))
            assert words < both


def test_the_page_shows_the_cards_of_the_data_file():
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, "cards", cards_table()) == page

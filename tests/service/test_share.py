"""How much of a thread's time a kind of work gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.service.share import MAX_CREDIT_S, Share

pytestmark = pytest.mark.pure

UNITS_S = st.floats(0.001, 0.5)


@given(st.sampled_from([0.1, 0.2, 0.3, 0.5]), st.lists(UNITS_S, min_size=10, max_size=40), UNITS_S)
def test_work_gets_its_part_of_the_time_and_a_unit_more_at_most(part, others_s, own_s) -> None:
    share, spent_s = Share(part), 0.0
    for other_s in others_s:
        share.earn(other_s)
        if share.is_due:
            share.spend(own_s)
            spent_s += own_s
    assert spent_s <= part * (sum(others_s) + spent_s) + own_s + 1e-9


@given(st.sampled_from([0.1, 0.3]), st.lists(UNITS_S, min_size=10, max_size=20))
def test_what_is_always_waiting_gets_no_less(part, others_s) -> None:
    """In small units, as far as these allow: a unit's time a turn at most."""
    own_s, share, spent_s = 0.001, Share(part), 0.0
    for other_s in others_s:
        share.earn(other_s)
        while share.is_due:
            share.spend(own_s)
            spent_s += own_s
    assert spent_s >= part / (1 - part) * sum(others_s) - 1e-6


def test_what_was_not_needed_cannot_be_saved_up() -> None:
    share, n_units = Share(0.5), 0
    share.earn(3600.0)
    while share.is_due:
        share.spend(0.25)
        n_units += 1
    assert n_units == MAX_CREDIT_S / 0.25

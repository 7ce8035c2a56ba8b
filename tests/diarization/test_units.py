"""Long work in short units."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.diarization.units import map_in_units
from speech_endpoint.units import finish

pytestmark = pytest.mark.pure

CPU = torch.device("cpu")


@given(st.lists(st.integers(), max_size=20))
def test_results_come_in_the_order_of_the_items(items):
    assert finish(map_in_units(str, items, CPU)) == [str(item) for item in items]


def test_nothing_is_done_of_a_unit_that_nobody_asks_for():
    done: list[int] = []
    units = map_in_units(done.append, range(100), CPU)
    assert done == []
    next(units)
    assert len(done) == torch.get_num_threads()
    units.close()
    assert len(done) == torch.get_num_threads()

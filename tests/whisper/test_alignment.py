"""Dynamic time warping against every path there is; segments of tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.whisper.alignment import dtw

pytestmark = pytest.mark.pure
Path = tuple[tuple[int, int], ...]


def every_path(n_rows: int, n_columns: int) -> list[Path]:
    """All monotonic paths from the first cell to the last: right, down, or both."""
    if (n_rows, n_columns) == (1, 1):
        return [((0, 0),)]
    before = itertools.chain.from_iterable(
        every_path(rows, columns)
        for rows, columns in (
            (n_rows - 1, n_columns),
            (n_rows, n_columns - 1),
            (n_rows - 1, n_columns - 1),
        )
        if rows and columns
    )
    return [(*path, (n_rows - 1, n_columns - 1)) for path in before]


def costs() -> st.SearchStrategy[np.ndarray]:
    sizes = st.tuples(st.integers(1, 4), st.integers(1, 5))
    # Powers of two have different sums, so that there is one cheapest path.
    return sizes.flatmap(
        lambda size: st.permutations(range(size[0] * size[1])).map(
            lambda powers: np.array([2.0**power for power in powers]).reshape(size)
        )
    )


@given(costs())
def test_rows_are_entered_where_the_cheapest_of_all_paths_enters_them(cost: np.ndarray) -> None:
    cheapest = min(every_path(*cost.shape), key=lambda path: sum(cost[cell] for cell in path))
    entered: dict[int, int] = {}
    for row, column in cheapest:
        entered.setdefault(row, column)
    assert dtw(cost).tolist() == [entered[row] for row in range(len(cost))]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_a_constructed_path_is_followed(widths: list[int]) -> None:
    """Each row's cells are cheap from where the last row's end: as attention that moves on."""
    starts = np.concatenate([[0], np.cumsum([width + 1 for width in widths])])
    cost = np.ones((len(widths), int(starts[-1])))
    for row, (start, end) in enumerate(itertools.pairwise(starts)):
        cost[row, start:end] = -1.0
    assert dtw(cost).tolist() == starts[:-1].tolist()

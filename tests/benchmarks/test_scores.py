"""The cells of a report, where there is something to say and where there is not."""

from __future__ import annotations

import pytest

from benchmarks.scores import COLUMNS, Scores

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("column", COLUMNS)
def test_a_recording_without_reference_has_a_cell_in_every_column(column: str) -> None:
    """A report is written when everything has been measured: it must not fail then."""
    assert COLUMNS[column](Scores()) in ("–", "0")

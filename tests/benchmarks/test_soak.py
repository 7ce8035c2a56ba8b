"""What grows is told from what breathes."""

from __future__ import annotations

import pytest

from benchmarks.soak import Holdings, has_grown

pytestmark = pytest.mark.pure
BREATHING = [Holdings(1_000 + n % 20, 8 + 2 * (n % 2), 14) for n in range(46)]


def test_a_server_that_stays_as_it_is() -> None:
    assert not has_grown(BREATHING)


@pytest.mark.parametrize(
    "leak", [Holdings(1_050, 8, 14), Holdings(1_000, 12, 14), Holdings(1_000, 8, 15)]
)
def test_a_server_that_grows(leak: Holdings) -> None:
    assert has_grown([*BREATHING, *[leak] * 5])

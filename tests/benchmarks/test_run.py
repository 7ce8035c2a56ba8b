"""What a benchmark tells of itself: which systems, how many rounds, what failed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.run import Result, Runner, is_wanted, markdown_table, parser, publish

pytestmark = pytest.mark.pure


def options(*systems: str, slow: bool = False) -> Namespace:
    return Namespace(systems=systems, slow=slow)


def test_systems_are_chosen_by_parts_of_their_names() -> None:
    assert is_wanted("faster-whisper batched, int8", options("ours", "INT8"))
    assert not is_wanted("faster-whisper batched, int8", options("ours"))
    assert not is_wanted("transformers sequential", options(""), is_slow=True)
    assert is_wanted("transformers sequential", options("", slow=True), is_slow=True)


def test_without_options_every_system_is_wanted() -> None:
    assert is_wanted("any", parser("made", None, "made.md").parse_args([]))


@pytest.mark.parametrize(
    ("seconds", "is_warm", "rounds"), [([1.0, 3.0, 2.0], True, "3"), ([4.0], False, "1 (cold)")]
)
def test_a_table_says_how_often_and_how_warm(
    seconds: list[float], is_warm: bool, rounds: str
) -> None:
    result = Result(seconds, is_warm, 30.0, [], float("nan"))
    assert result.rounds == rounds
    assert result.median_s == sorted(seconds)[len(seconds) // 2]


def test_a_failure_ends_the_program_with_an_error() -> None:
    with pytest.raises(SystemExit, match=r"error: .*whisper"):
        Runner(2, measured=["ours"], failed=["whisper"]).finish()
    with pytest.raises(SystemExit, match="error: no system"):
        Runner(2).finish()
    Runner(2, measured=["ours"]).finish()


def test_a_page_keeps_every_part_as_it_comes(tmp_path: Path) -> None:
    page = tmp_path / "local" / "page.md"
    publish(page, "of another run", mode="w")
    publish(page, "# Title", "\nintroduction\n", mode="w")
    assert page.read_text() == "# Title\n\nintroduction\n\n"
    publish(page, markdown_table(["", "seconds"], [["ours", "1.00"]]))
    assert page.read_text().endswith("| --- | ---: |\n| ours | 1.00 |\n\n")

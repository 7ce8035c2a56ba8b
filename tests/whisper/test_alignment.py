"""Dynamic time warping against every path there is; segments of tokens; times of words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from decoded import FRAME_S, alignment_with, decoded, window_request, written
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import MODELS

from speech_endpoint.whisper.alignment import (
    dtw,
    interpolate_between_timestamps,
    split_segments,
    timed_words,
)
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.confidence import word_probability
from speech_endpoint.whisper.tokenizer import Tokenizer

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


@pytest.mark.pure
@given(costs())
def test_rows_are_entered_where_the_cheapest_of_all_paths_enters_them(cost: np.ndarray) -> None:
    cheapest = min(every_path(*cost.shape), key=lambda path: sum(cost[cell] for cell in path))
    entered: dict[int, int] = {}
    for row, column in cheapest:
        entered.setdefault(row, column)
    assert dtw(cost).tolist() == [entered[row] for row in range(len(cost))]


@pytest.mark.pure
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_a_constructed_path_is_followed(widths: list[int]) -> None:
    """Each row's cells are cheap from where the last row's end: as attention that moves on."""
    starts = np.concatenate([[0], np.cumsum([width + 1 for width in widths])])
    cost = np.ones((len(widths), int(starts[-1])))
    for row, (start, end) in enumerate(itertools.pairwise(starts)):
        cost[row, start:end] = -1.0
    assert dtw(cost).tolist() == starts[:-1].tolist()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(load_checkpoint(str(MODELS / "whisper-base")))


def test_segments_are_what_lies_between_timestamps(tokenizer: Tokenizer) -> None:
    tokens = written(tokenizer, [(0.0, " one two", 1.0), (1.0, " three", 2.0)])
    assert split_segments(tokens, tokenizer) == [[1, 2], [5]]
    # Without a last timestamp, as where the text context ended.
    assert split_segments(tokens[:-1], tokenizer) == [[1, 2], [5]]


def test_spaces_alone_are_no_segment(tokenizer: Tokenizer) -> None:
    tokens = written(tokenizer, [(0.0, "  ", 1.0), (1.0, " yes", 2.0), (2.0, " ", 3.0)])
    (segment,) = split_segments(tokens, tokenizer)
    assert tokenizer.decode([tokens[n] for n in segment]) == " yes"
    assert split_segments([], tokenizer) == []
    assert timed_words(decoded(window_request(3.0), tokens[:2]), tokenizer) == []


@given(st.data())
def test_segments_hold_every_word_in_order_and_no_timestamp(
    tokenizer: Tokenizer, data: st.DataObject
) -> None:
    word, timestamp = tokenizer.encode(" word")[0], tokenizer.first_timestamp
    tokens = data.draw(st.lists(st.sampled_from([word, timestamp, timestamp + 50]), max_size=20))
    segments = split_segments(tokens, tokenizer)
    assert [n for segment in segments for n in segment] == [
        n for n, token in enumerate(tokens) if token == word
    ]
    for segment in segments:
        assert segment == list(range(segment[0], segment[-1] + 1))


def test_without_alignment_words_share_the_time_between_timestamps(tokenizer: Tokenizer) -> None:
    tokens = written(tokenizer, [(0.0, " one two", 3.0), (4.0, " three", 6.0)])
    times = interpolate_between_timestamps(tokens, tokenizer, 10.0)
    assert times.tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0])
    (one, two), (three,) = timed_words(decoded(window_request(10.0), tokens), tokenizer)
    assert (one.text, one.start, one.end) == (" one", pytest.approx(1.0), pytest.approx(2.0))
    assert (two.text, two.start, two.end) == (" two", pytest.approx(2.0), pytest.approx(3.0))
    assert (three.text, three.start, three.end) == (
        " three",
        pytest.approx(5.0),
        pytest.approx(6.0),
    )
    assert one.probability == pytest.approx(word_probability([-0.1]), abs=1e-4)


@given(st.data())
def test_interpolated_times_never_go_back(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Whatever the timestamps are, in order or not, within the window or not."""
    written_tokens = st.sampled_from([400, *range(tokenizer.first_timestamp, 51_865, 100)])
    tokens = data.draw(st.lists(written_tokens, max_size=20))
    times = interpolate_between_timestamps(tokens, tokenizer, 5.0)
    assert times.shape == (len(tokens) + 1,)
    assert times[0] >= 0.0 and (np.diff(times) >= 0.0).all()
    for words in timed_words(decoded(window_request(5.0), tokens), tokenizer):
        assert all(0.0 <= word.start <= word.end <= 5.0 for word in words)


@settings(deadline=None)
@given(st.lists(st.integers(8, 60), min_size=3, max_size=9))
def test_words_begin_where_the_heads_begin_to_look_at_them(
    tokenizer: Tokenizer, widths: list[int]
) -> None:
    """Each token is looked for in its frames alone; the last few belong to the end of text."""
    words = ["one", "two", "three", "four", "five", "six", "seven"][: len(widths) - 2]
    tokens = written(tokenizer, [(0.0, "".join(f" {word}" for word in words), 1.0)])
    assert len(tokens) == len(widths)
    starts = [0, *itertools.accumulate(widths)]
    result = decoded(window_request(starts[-1] * FRAME_S), tokens, alignment=alignment_with(starts))
    (found,) = timed_words(result, tokenizer)
    assert [word.text.strip() for word in found] == words
    for word, start, end in zip(found, starts[1:], starts[2:], strict=False):
        assert word.start == pytest.approx(start * FRAME_S, abs=FRAME_S + 1e-6)
        assert word.end == pytest.approx(end * FRAME_S, abs=FRAME_S + 1e-6)

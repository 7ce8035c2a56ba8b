"""How recordings are shared out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.archive.blocks import MAX_BYTES, MAX_RECORDINGS, Block, pack
from speech_endpoint.archive.recordings import Recording

pytestmark = pytest.mark.pure

recordings = st.lists(
    st.builds(Recording, st.text(min_size=1), st.integers(-1, 100), st.integers(0, 2 * MAX_BYTES)),
    max_size=200,
    unique_by=lambda recording: recording.name,
)
workers = st.integers(1, 100)


@given(recordings, workers)
def test_every_recording_is_in_one_block(found, n_workers):
    blocks = list(pack(found, n_workers))
    members = [recording for block in blocks for recording in block.recordings]
    assert sorted(r.name for r in members) == sorted(r.name for r in found)
    assert len({block.id for block in blocks}) == len(blocks)


@given(recordings, workers)
def test_no_block_is_larger_than_the_limits_but_for_one_recording(found, n_workers):
    for block in pack(found, n_workers):
        assert len(block.recordings) <= MAX_RECORDINGS
        assert block.n_bytes <= MAX_BYTES or len(block.recordings) == 1


@given(recordings, workers)
def test_larger_recordings_come_first(found, n_workers):
    sizes = [r.size for block in pack(found, n_workers) for r in block.recordings]
    assert sizes == sorted(sizes, reverse=True)


@given(recordings, workers, st.randoms())
def test_the_order_of_a_listing_changes_nothing(found, n_workers, random):
    shuffled = random.sample(found, len(found))
    assert list(pack(found, n_workers)) == list(pack(shuffled, n_workers))


@given(st.integers(1, 20), st.integers(1, 2000))
def test_few_recordings_are_shared_out_to_all_workers(n_workers, n):
    blocks = list(pack([Recording(f"{i}.wav", size=1) for i in range(n)], n_workers))
    assert len(blocks) >= min(n, n_workers)


@given(recordings)
def test_a_block_comes_back_from_its_row(found):
    for block in pack(found, 1):
        assert Block.from_row(block.to_row()) == block

"""Sliding chunks cut from a signal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.diarization.networks.chunks import count_chunks, unfold_chunks, unfold_sections

pytestmark = pytest.mark.pure

lengths, sizes, hops = st.integers(1, 60), st.integers(1, 20), st.integers(1, 8)


@given(lengths, sizes, hops, st.integers(1, 8))
def test_chunk_n_is_the_signal_from_n_hops_on(length, size, hop, count):
    signal = torch.arange(1.0, length + 1)[None]
    chunks = unfold_chunks(signal, size, hop, count)
    assert chunks.shape == (count, 1, size)
    for n, chunk in enumerate(chunks[:, 0]):
        expected = signal[0, n * hop : n * hop + size]
        assert torch.equal(chunk[: len(expected)], expected)
        assert not chunk[len(expected) :].any()


@given(lengths, sizes, hops)
def test_chunks_cover_the_signal_and_none_lies_beyond_it(length, size, hop):
    count = count_chunks(length, size, hop)
    assert (count - 1) * hop + size >= length
    assert count == 1 or (count - 2) * hop + size < length


@given(lengths, sizes, hops, st.integers(1, 5))
def test_sections_are_the_chunks_in_order(length, size, hop, section_chunks):
    signal = torch.arange(1.0, length + 1)[None]
    count = count_chunks(length, size, hop)
    sections = list(unfold_sections(signal, size, hop, count, section_chunks))
    assert all(len(section) <= section_chunks for section in sections)
    assert torch.equal(torch.cat(sections), unfold_chunks(signal, size, hop, count))

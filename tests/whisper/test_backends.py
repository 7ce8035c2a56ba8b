"""The kernels of a CPU: right, and each row's result its own."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.backends.cpu_attention import (
    MAX_KEPT,
    MAX_SUMS,
    BlockwiseAttention,
    WeightedSums,
)
from speech_endpoint.whisper.backends.cpu_linear import ROW_BLOCK, BlockedLinear, Int8Linear

pytestmark = pytest.mark.pure
WIDTH, OUT = 64, 96


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def step_layers() -> list:
    weight, bias = random(OUT, WIDTH), random(OUT, seed=1)
    return [
        BlockedLinear(weight.bfloat16(), bias.bfloat16()),
        Int8Linear(weight, bias, torch.float32),
    ]


@pytest.mark.parametrize("layer", step_layers(), ids=lambda layer: type(layer).__name__)
@settings(deadline=None)
@given(n_rows=st.integers(1, 3 * ROW_BLOCK), row=st.integers(0))
def test_a_row_does_not_depend_on_how_many_there_are(layer, n_rows: int, row: int) -> None:
    """Otherwise a text would depend on the batch size, and on drafts."""
    x = random(3 * ROW_BLOCK, WIDTH, seed=2)
    x = x.bfloat16() if isinstance(layer, BlockedLinear) else x
    all_rows, some_rows = layer(x), layer(x[:n_rows])
    assert some_rows.shape == (n_rows, OUT)
    assert torch.equal(some_rows[row % n_rows], all_rows[row % n_rows])


@pytest.mark.parametrize("layer", step_layers(), ids=lambda layer: type(layer).__name__)
def test_a_layer_computes_the_product(layer) -> None:
    x = random(5, WIDTH, seed=2)
    expected = x @ random(OUT, WIDTH).T + random(OUT, seed=1)
    found = layer(x.bfloat16() if isinstance(layer, BlockedLinear) else x).float()
    # Two or three digits are what bfloat16 and int8 hold.
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.softmax(query @ key.mT, dim=-1) @ value


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("n_queries", [1, 2, 9, MAX_SUMS + 1])
def test_attention_to_audio_is_attention_however_the_cache_lies(dtype, n_queries: int) -> None:
    backend = choose_backend("cpu", dtype, "none")
    n_layers, n_slots, n_heads, n_frames, d = 1, 2, 3, 50, 8
    query = random(n_slots, n_heads, n_queries, d)
    key, states = (
        random(n_slots, n_heads, n_frames, d, seed=1),
        random(n_slots, n_frames, 24, seed=2),
    )
    weight, bias = random(24, 24, seed=3), random(24, seed=4)
    keys = backend.new_keys(n_slots, n_heads, length=n_frames, head_width=d)
    cache = backend.new_cross_values(n_layers, n_slots, n_heads, n_frames=n_frames, head_width=d)
    typed = [tensor.to(backend.dtype) for tensor in (states, weight, bias)]
    for slot in range(n_slots):
        of_frames = key[slot].transpose(0, 1).flatten(1)
        backend.write_cross_keys(of_frames.to(backend.dtype), keys[slot])
        backend.project_cross_values(typed[0][slot], typed[1], typed[2], cache[0, slot])
    value = (states @ weight.T + bias).view(n_slots, n_frames, n_heads, d).transpose(1, 2)
    found = backend.cross_attention(query.to(backend.dtype), keys, cache[0])
    tolerance = 1e-4 if dtype == "float32" else 0.1
    torch.testing.assert_close(
        found.float(), attention(query, key, value), atol=tolerance, rtol=tolerance
    )


@pytest.fixture(scope="module")
def blockwise() -> BlockwiseAttention:
    """One for all tests, as for all windows: its buffer has seen other shapes."""
    return BlockwiseAttention(torch.bfloat16)


@settings(deadline=None, max_examples=25)
@given(n_heads=st.integers(1, 4), n_queries=st.integers(1, 1100), n_keys=st.integers(1, 1100))
def test_blocks_of_queries_attend_as_all_at_once(
    blockwise: BlockwiseAttention, n_heads: int, n_queries: int, n_keys: int
) -> None:
    query, key, value = (random(1, n_heads, n, 8, seed=n) for n in (n_queries, n_keys, n_keys))
    query = query / 4
    found = blockwise((query * math.log2(math.e)).bfloat16(), key.bfloat16(), value.bfloat16())
    torch.testing.assert_close(found.float(), attention(query, key, value), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("offset", [0.0, -900.0])
def test_scores_beyond_all_powers_of_two_are_attended_to(
    blockwise: BlockwiseAttention, offset: float
) -> None:
    """2 ** 600 is infinite in bfloat16, and 2 ** -300 is zero."""
    n = 16
    query = torch.cat([600 * torch.eye(n), torch.full((n, 1), offset)], dim=1).bfloat16()
    key = torch.cat([torch.eye(n), torch.ones(n, 1)], dim=1).bfloat16()
    value = random(n, n + 1).bfloat16()
    found = blockwise(query[None, None], key[None, None], value[None, None])
    assert torch.equal(found[0, 0], value)


def test_frames_attend_alike_alone_and_beside_another_window(
    blockwise: BlockwiseAttention,
) -> None:
    """A window's text does not depend on what is encoded beside it, nor on overflow there."""
    query, key, value = (random(3, 8, 700, 8, seed=n).bfloat16() for n in range(3))
    key[1] *= 200
    together = blockwise(query, key, value)
    assert together.isfinite().all()
    for n in (2, 0, 1):
        one = slice(n, n + 1)
        assert torch.equal(blockwise(query[one], key[one], value[one]), together[one])


def test_a_slot_is_split_into_parts_of_its_time() -> None:
    """Each part attends to its own frames alone; the frames that are left over go to none."""
    backend = choose_backend("cpu", "float32", "none")
    n_heads, n_frames, d = 2, 14, 4
    n_parts, part_frames = 3, 4
    states, weight, bias = (
        random(n_frames, n_heads * d, seed=2),
        random(n_heads * d, n_heads * d, seed=3),
        random(n_heads * d, seed=4),
    )
    cache = backend.new_cross_values(1, 2, n_heads, n_frames=n_frames, head_width=d)
    cache.fill_(torch.nan)
    backend.project_cross_values(states, weight, bias, cache[0, 1])
    value = (states @ weight.T + bias).view(n_frames, n_heads, d).transpose(0, 1)
    query, key = random(n_parts, n_heads, 2, d), random(n_heads, n_frames, d, seed=1)
    slices = [slice(n * part_frames, (n + 1) * part_frames) for n in range(n_parts)]
    keys = torch.stack([key[:, frames] for frames in slices])
    parts = backend.split_cross_values(cache[:, 1], n_parts, part_frames)
    found = backend.cross_attention(query, keys, parts[0])
    for part, frames in enumerate(slices):
        expected = attention(query[part], key[:, frames], value[:, frames])
        torch.testing.assert_close(found[part], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_query_attends_alike_alone_and_beside_others(dtype) -> None:
    """Drafts make a step wider, windows longer: to the last bit, it must say the same of its first
    token."""
    backend = choose_backend("cpu", dtype, "none")
    query, key, value = (random(2, 3, n, 8, seed=n).to(backend.dtype) for n in (9, 64, 64))
    mask = torch.zeros(2, 1, 9, 64, dtype=backend.dtype)
    wide = backend.self_attention(query, key, value, mask)
    narrow = backend.self_attention(query[:1, :, :1], key[:1], value[:1], mask[:1, :, :1])
    assert torch.equal(narrow, wide[:1, :, :1])
    wide = backend.cross_attention(query, key, value.mT)
    narrow = backend.cross_attention(query[:1, :, :1], key[:1], value[:1].mT)
    assert torch.equal(narrow, wide[:1, :, :1])


@pytest.fixture(scope="module")
def sums() -> WeightedSums:
    """One for all tests, as for all layers: it has seen other shapes."""
    return WeightedSums()


@settings(deadline=None)
@given(
    n_matrices=st.integers(1, 5),
    n=st.integers(1, MAX_SUMS + 2),
    t=st.integers(1, 40),
    spare=st.integers(0, 8),
)
def test_rows_are_summed_where_they_lie(
    sums: WeightedSums, n_matrices: int, n: int, t: int, spare: int
) -> None:
    """Of a cache, the first slots and the positions that are written."""
    cache, weights = random(n_matrices + 1, t + spare, 6), random(n_matrices, n, t, seed=1)
    rows = cache[:n_matrices, :t]
    torch.testing.assert_close(sums(weights, rows), weights @ rows, atol=1e-4, rtol=1e-4)
    turned = cache.mT[:n_matrices, :, :t]
    queries = random(n_matrices, n, 6, seed=2)
    torch.testing.assert_close(sums(queries, turned), queries @ turned, atol=1e-4, rtol=1e-4)


def test_what_is_kept_of_lengths_does_not_grow(sums: WeightedSums) -> None:
    """Parts of windows whose language is looked for have any length."""
    for t in range(1, 3 * MAX_KEPT):
        sums(random(1, 1, t), random(1, t, 4))
    assert len(sums._kept) <= MAX_KEPT


def test_every_backend_attends_alike() -> None:
    plain, cpu = Backend(torch.device("cpu"), torch.float32), CpuBackend("float32", "none")
    query, key, value = (random(2, 3, n, 8, seed=n) for n in (1, 64, 64))
    mask = torch.zeros(2, 1, 1, 64)
    torch.testing.assert_close(
        plain.self_attention(query, key, value, mask), cpu.self_attention(query, key, value, mask)
    )


def test_number_formats_are_those_that_settings_name() -> None:
    assert choose_backend("cpu", "float32", "auto").dtype == torch.float32
    assert choose_backend("cpu", "bfloat16", "none").dtype == torch.bfloat16
    weight = random(OUT, WIDTH)
    assert isinstance(CpuBackend("float32", "int8").step_linear(weight, None), Int8Linear)
    assert isinstance(CpuBackend("bfloat16", "auto").lm_head(weight), Int8Linear)
    assert not isinstance(CpuBackend("float32", "auto").lm_head(weight), Int8Linear)

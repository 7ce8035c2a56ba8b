"""Threads and batches."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.hardware import (
    balanced_batch_size,
    has_bfloat16,
    map_on_threads,
    pick_device,
    trim_heap,
)

pytestmark = pytest.mark.pure

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def num_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(num_threads):
    assert map_on_threads(lambda n: n * n, range(20), CPU) == [n * n for n in range(20)]


def test_workers_have_one_thread_each_and_the_caller_keeps_its_own(num_threads):
    assert set(map_on_threads(lambda _: torch.get_num_threads(), range(8), CPU)) == {1}
    assert torch.get_num_threads() == num_threads


def test_an_error_in_a_worker_reaches_the_caller_and_changes_no_threads(num_threads):
    with pytest.raises(ZeroDivisionError):
        map_on_threads(lambda n: 1 // n, range(3), CPU)
    assert torch.get_num_threads() == num_threads


@given(st.integers(1, 5_000), st.integers(1, 64))
def test_batches_are_small_enough_and_share_out_evenly(count, max_size):
    size, workers = balanced_batch_size(count, max_size), torch.get_num_threads()
    assert 1 <= size <= max_size
    rounds = math.ceil(count / (max_size * workers))
    assert math.ceil(count / size) <= rounds * workers


def test_a_named_device_is_taken_and_auto_finds_one():
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_only_devices_that_are_known_have_bfloat16():
    assert has_bfloat16(torch.device("meta")) is False


def test_trimming_the_heap_keeps_what_is_in_use():
    values = torch.arange(1_000_000)
    trim_heap()
    assert values.sum() == 499_999_500_000

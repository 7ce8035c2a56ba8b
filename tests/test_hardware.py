"""Threads and batches."""

from __future__ import annotations

import math
import platform
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import REPOSITORY

from speech_endpoint.errors import InvalidSettings
from speech_endpoint.hardware import (
    Accelerators,
    balanced_batch_size,
    has_bfloat16,
    map_on_threads,
    pick_device,
    prepare_device,
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5_000), st.integers(1, 64))
def test_batches_are_as_even_as_whole_batches_allow(num_threads, count, max_size):
    """No smaller batch would do in as few rounds of one batch per worker as the largest takes."""
    rounds = math.ceil(count / (max_size * num_threads))
    enough = [
        size for size in range(1, max_size + 1) if math.ceil(count / size) <= rounds * num_threads
    ]
    assert balanced_batch_size(count, max_size) == min(enough)


def test_every_worker_gets_its_share_of_a_few_items(num_threads):
    assert balanced_batch_size(30, 32) == 30 // num_threads


def test_a_named_device_is_taken_and_auto_finds_one():
    two = Accelerators(2, True, "550.54.15", "2.9.1", "12.8")
    assert pick_device("cuda:1", two) == torch.device("cuda", 1)
    assert pick_device("auto", two).type == "cuda"
    none = Accelerators(0, False, None, "2.9.1", "12.8")
    assert pick_device("auto", none) == CPU
    assert pick_device("cpu", two) == CPU


def test_a_gpu_that_cannot_be_used_is_not_passed_over_in_silence():
    old_driver = Accelerators(0, True, "535.104.05", "2.14.1", "13.0")
    with pytest.raises(InvalidSettings) as raised:
        pick_device("auto", old_driver)
    for part in ("DEVICE: auto", "2.14.1", "CUDA 13.0", "535.104.05", "DEVICE=cpu"):
        assert part in str(raised.value)
    assert pick_device("cpu", old_driver) == CPU


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps", "xpu"])
def test_a_device_that_is_not_there_is_said(device: str):
    found = Accelerators(1 if device == "cuda:3" else 0, False, None, "2.9.1", "12.8")
    with pytest.raises(InvalidSettings, match=f"^DEVICE: {device}"):
        pick_device(device, found)


def test_a_gpu_computes_float32_in_float32():
    """What cuDNN rounds to TF32 would be another text and other speakers than a CPU's."""
    switches = [(torch.backends.cudnn, "allow_tf32"), (torch.backends.cuda.matmul, "allow_tf32")]
    before = [getattr(*switch) for switch in switches]
    for switch in switches:
        setattr(*switch, True)
    try:
        prepare_device(CPU)
        assert all(getattr(*switch) for switch in switches)
        prepare_device(torch.device("cuda"))
        assert not any(getattr(*switch) for switch in switches)
    finally:
        torch.backends.cuda.enable_cudnn_sdp(True)
        for switch, value in zip(switches, before, strict=True):
            setattr(*switch, value)


def test_only_devices_that_are_known_have_bfloat16():
    assert has_bfloat16(torch.device("meta")) is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_freed_memory_between_arrays_in_use_returns_to_the_system():
    """In a process of its own, where nothing else takes or frees memory meanwhile."""
    script = """
import os
from pathlib import Path
import numpy as np
from speech_endpoint.hardware import trim_heap

def resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

trim_heap()
before = resident_mb()
arrays = [np.ones(4_000) for _ in range(4_000)]  # 32 KB each, too small for a mapping of its own
last = arrays.pop()
del arrays
freed = resident_mb()
trim_heap()
print(freed - before, resident_mb() - before, last.sum())
"""
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    kept_mb, left_mb, kept_sum = map(float, output.split())
    assert kept_mb > 100 and left_mb < 20 and kept_sum == 4_000

"""How much memory may be taken, from what the system says."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from speech_endpoint.memory import FreedMemory, available_bytes, is_out_of_memory, n_that_fit
from tools.fuzz.target import memory_mb

pytestmark = pytest.mark.pure
GIB = 2**30
MEMINFO = "MemTotal:       33554432 kB\nMemFree:        1048576 kB\nMemAvailable:   16777216 kB\n"

wanted = st.one_of(st.integers(1, 100), st.integers(10**9, 10**30))
sizes = st.integers(1, 100 * GIB)


@given(wanted, sizes, st.none() | sizes, sizes)
def test_what_fits_leaves_the_reserve_free_unless_it_is_one(n_wanted, item, free, reserved):
    n = n_that_fit(n_wanted, item, free, reserved)
    assert 1 <= n <= n_wanted
    if free is None:
        assert n == n_wanted
    else:
        assert n == 1 or n * item + reserved <= free
        assert n == n_wanted or (n + 1) * item + reserved > free


def test_large_models_have_fewer_slots_on_a_small_card():
    """Of 24 GB, 3.1 GB are the weights of large-v3, whose slots take 319 MB each."""
    assert n_that_fit(64, 319 * 10**6, 20 * GIB, 2 * GIB) == 60
    assert n_that_fit(24, 319 * 10**6, 20 * GIB, 2 * GIB) == 24


def file_system(root: Path, **files: str) -> Path:
    """A root with the files that Linux shows, by their paths."""
    for name, content in ({"proc/meminfo": MEMINFO} | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_without_control_groups_the_system_says_what_is_available(tmp_path):
    assert available_bytes(file_system(tmp_path)) == 16 * GIB


def test_elsewhere_nothing_is_known(tmp_path):
    assert available_bytes(tmp_path) is None


@pytest.mark.parametrize("path", ["/", "/kubepods/pod1/abc"])
def test_a_containers_limit_counts_less_what_it_uses_itself(tmp_path, path):
    """Cached files are given up when memory is needed. The path may be the host's."""
    root = file_system(
        tmp_path,
        **{
            "proc/self/cgroup": f"0::{path}\n",
            "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
            "sys/fs/cgroup/memory.current": f"{6 * GIB}\n",
            "sys/fs/cgroup/memory.stat": f"anon 7\nactive_file {GIB}\ninactive_file {GIB}\n",
        },
    )
    assert available_bytes(root) == 4 * GIB


def test_the_tightest_of_the_groups_that_a_process_lies_in_counts(tmp_path):
    root = file_system(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/memory.max": f"{3 * GIB}\n",
            "sys/fs/cgroup/pod/memory.current": f"{GIB}\n",
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
            "sys/fs/cgroup/pod/container/memory.current": f"{GIB}\n",
        },
    )
    assert available_bytes(root) == 2 * GIB


def test_the_first_version_of_control_groups_is_read_as_well(tmp_path):
    root = file_system(
        tmp_path,
        **{
            "proc/self/cgroup": "5:cpu:/other\n4:memory,hugetlb:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {GIB}\n",
        },
    )
    assert available_bytes(root) == 3 * GIB


def test_a_group_that_has_used_up_its_memory_has_none(tmp_path):
    root = file_system(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "4096\n",
            "sys/fs/cgroup/memory.current": "8192\n",
        },
    )
    assert available_bytes(root) == 0


def test_a_lack_of_memory_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as torchs:
        torch.empty(2**55)
    with pytest.raises(MemoryError) as numpys:
        np.empty(2**55)
    for error in (torchs.value, numpys.value, torch.OutOfMemoryError("")):
        assert is_out_of_memory(error)
    for message in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "std::bad_alloc"):
        assert is_out_of_memory(RuntimeError(message))
        assert not is_out_of_memory(ValueError(message))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(KeyboardInterrupt("out of memory"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep none")
def test_freed_memory_goes_back_though_some_above_it_is_held() -> None:
    freed = FreedMemory(seconds_between=0)
    blocks = [bytearray(b"x") * 2**16 for _ in range(2000)]
    full = memory_mb(os.getpid(), "VmRSS")
    held = blocks[99::100]
    del blocks
    freed.hand_back()
    assert memory_mb(os.getpid(), "VmRSS") < full - 100
    assert all(held)

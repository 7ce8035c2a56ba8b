"""A cluster of two nodes on this machine, which Ray Serve runs the application on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

# `make cluster-test` has an environment of its own.
IS_CLUSTER_ENVIRONMENT = importlib.util.find_spec("ray") is not None
collect_ignore_glob = [] if IS_CLUSTER_ENVIRONMENT else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[object]:
    from two_nodes import TwoNodes

    with TwoNodes() as cluster:
        yield cluster

"""Archives need Ray and PyArrow, which an environment of their own has."""

from __future__ import annotations

import importlib.util

# `make cluster-test` runs them; requirements-cluster.txt has the packages.
IS_CLUSTER_ENVIRONMENT = importlib.util.find_spec("ray") is not None
collect_ignore_glob = [] if IS_CLUSTER_ENVIRONMENT else ["test_*.py"]

"""The command for archives where it cannot work: tests/archive has what it does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from paths import REPOSITORY

from speech_endpoint.cli.main import main

HAS_RAY = importlib.util.find_spec("ray") is not None


def test_help_needs_neither_ray_nor_a_model_library() -> None:
    code = """
import sys
sys.argv[1:] = ["batch", "--help"]
from speech_endpoint.cli.main import main
try:
    main()
finally:
    assert not {"ray", "pyarrow", "torch", "transformers"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert b"--retry-errors" in done.stdout


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_command_says_what_to_install(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["batch", str(tmp_path), str(tmp_path / "out")])
    assert result.exit_code == 78
    assert "requirements-cluster.txt" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_is_wrong_is_named_before_anything_begins(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["batch", str(tmp_path), str(tmp_path / "out"), "--batch-size", "0"]
    )
    assert result.exit_code == 2
    assert "batch_size" in result.stderr
    assert not (tmp_path / "out").exists()

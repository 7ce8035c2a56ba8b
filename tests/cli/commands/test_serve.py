"""The server's command, as far as it goes without the server's packages."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner
from paths import REPOSITORY

from speech_endpoint.cli.main import main

pytestmark = pytest.mark.pure

SERVE = """
import sys
for name in {missing}:
    sys.modules[name] = None
sys.argv[1:] = {arguments}
from speech_endpoint.cli.main import main
try:
    main()
finally:
    assert "torch" not in sys.modules or sys.modules["torch"] is None
"""


def _serve(*arguments: str, missing: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    code = SERVE.format(missing=missing, arguments=["serve", *arguments])
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_help_needs_neither_the_servers_packages_nor_models() -> None:
    done = _serve("--help", missing=("starlette", "uvicorn", "orjson", "torch"))
    assert done.returncode == 0, done.stderr
    for option in ("--host", "--port", "--asr-model", "--max-slots", "--frame-ancestors"):
        assert option in done.stdout
    assert "--api-keys " not in done.stdout and "hf-token" not in done.stdout


def test_without_the_servers_packages_it_says_what_to_install() -> None:
    done = _serve(missing=("uvicorn", "torch"))
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "uvicorn" in line and "pip install 'speech-endpoint[server]'" in line


def test_a_wrong_setting_is_named_before_anything_is_loaded() -> None:
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 78 and "API_KEYS" in result.stderr
    result = CliRunner().invoke(main, ["serve", "--port", "many"])
    assert result.exit_code == 78 and "PORT" in result.stderr and "many" in result.stderr

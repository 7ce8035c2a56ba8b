"""Where weights come from."""

from __future__ import annotations

import re

import pytest

from tools.build_models.__main__ import RECIPES, REQUIREMENTS

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("name", RECIPES)
def test_every_wheel_is_pinned_by_version_and_hash(name: str) -> None:
    _, download_mb = RECIPES[name]
    pins = REQUIREMENTS / f"{name}.txt"
    assert pins.is_file() == (download_mb > 0)
    for line in pins.read_text().splitlines() if pins.is_file() else []:
        assert line.startswith("# ") or re.fullmatch(
            r"[\w-]+==\d+\.\d+\.\d+ --hash=sha256:[0-9a-f]{64}", line
        )

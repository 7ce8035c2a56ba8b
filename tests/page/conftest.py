"""A browser and a server for the tests of the page."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

IN_BROWSER = [
    "test_page.py",
    "test_transcribing.py",
    "test_transcript.py",
    "test_voices.py",
    "test_with_server.py",
]
HAS_BROWSER = importlib.util.find_spec("playwright") is not None and shutil.which("chromium")
# `make page-test` has them.
collect_ignore = [] if HAS_BROWSER else IN_BROWSER

if TYPE_CHECKING:
    from page.stand_in import StandIn
    from playwright.sync_api import Browser, Page, Playwright


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    """Replays answers; the phone call's, unless it is told others."""
    from page.stand_in import StandIn

    stand_in = StandIn()
    running = stand_in.start()
    yield stand_in
    running.should_exit = True


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    from page.browser import launch

    chromium = launch(playwright)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser, server: StandIn) -> Iterator[Page]:
    """The page, in a profile of its own."""
    from page.browser import opened

    server.answers.clear()
    server.release.set()
    with opened(browser, server.url) as page:
        yield page

"""The page in a browser: what its tests share."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paths import PHONE_CALL, REPOSITORY
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = REPOSITORY / "tests" / "page" / "node_modules" / "axe-core" / "axe.min.js"
# What Chromium writes to the console for every answer that is an error.
EXPECTED = ("Failed to load resource",)


def launch(playwright: Playwright, *flags: str) -> Browser:
    """Debian's Chromium, which knows no network."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """The page in a profile of its own; whatever the console says against it fails the test."""
    context: BrowserContext = browser.new_context(**options)
    complaints: list[str] = []
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda each: _note(each.type, each.text, complaints))
    page.goto(url)
    yield page
    context.close()
    assert complaints == []


def _note(kind: str, text: str, complaints: list[str]) -> None:
    if kind in ("error", "warning") and not text.startswith(EXPECTED):
        complaints.append(text)


def transcribe(page: Page, file: Path = PHONE_CALL) -> None:
    """From the start page to the transcript."""
    page.set_input_files("#file", file)
    page.click("#go")
    expect(page.locator("#result")).to_be_visible()


def export(page: Page, label: str) -> str:
    """The text of a file that the page saves."""
    page.click("#export")
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=re.compile(f"^{label}")).click()
    return Path(download.value.path()).read_text()


def turns(page: Page) -> list[tuple[str, str, str]]:
    """Name, time and text of each."""
    found: list[list[str]] = page.eval_on_selector_all(
        ".turn",
        "all => all.map(t => ['.name', '.stamp', '.said']"
        ".map(part => t.querySelector(part)?.textContent ?? ''))",
    )
    return [(name, time, text) for name, time, text in found]


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA. A content policy has no say in what a test adds."""
    page.evaluate(AXE.read_text() + "; undefined")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    return [
        json.dumps([each["id"], [node["html"][:160] for node in each["nodes"][:3]]])
        for each in result["violations"]
    ]

"""The page for everybody: keys, screen readers, phones; and how its files are served."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest
from page.browser import opened, transcribe, turns, violations
from page.stand_in import Refusal, StandIn
from paths import PHONE_CALL
from playwright.sync_api import Browser, Page, expect


def _tab_to(page: Page, name: str) -> None:
    """As who has no mouse gets there."""
    for _ in range(60):
        page.keyboard.press("Tab")
        named = "document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"
        if page.evaluate(named) == name:
            return
    raise AssertionError(f"no way to {name}")


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    expect(page.locator("#recent-empty")).to_be_visible()
    with page.expect_file_chooser() as chooser:
        _tab_to(page, "Choose a file")
        page.keyboard.press("Enter")
    chooser.value.set_files(PHONE_CALL)
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "hello."
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('#audio').paused")
    page.keyboard.press("k")
    assert page.evaluate("document.querySelector('#audio').paused")
    page.keyboard.press("e")
    page.keyboard.type("Well. ")
    page.keyboard.press("Enter")
    assert turns(page)[1][2].startswith("Well. Oh, hello.")
    page.keyboard.press("/")
    page.keyboard.type("jersey")
    page.keyboard.press("Enter")
    assert page.locator("#hits").inner_text() == "1/3"
    page.keyboard.press("Escape")
    _tab_to(page, "Name of Speaker B")
    page.keyboard.type("Diane")
    page.keyboard.press("Enter")
    assert turns(page)[1][0] == "Diane"
    _tab_to(page, "Diane is somebody else too")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(page.locator(".turn")).to_have_count(6)
    page.locator("#export").focus()
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "sample.srt"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_screen(browser: Browser, server: StandIn, scheme: Any) -> None:
    with opened(browser, server.url, color_scheme=scheme, reduced_motion="reduce") as page:
        page.click("summary")
        assert violations(page) == []
        page.set_input_files("#file", PHONE_CALL)
        server.release.clear()
        page.click("#go")
        expect(page.locator("#live")).to_contain_text("Hello.")
        assert violations(page) == []
        server.release.set()
        expect(page.locator("#result")).to_be_visible()
        assert violations(page) == []
        page.click("#export")
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("e")
        assert violations(page) == []
        page.keyboard.press("Escape")
        server.answers.append(Refusal(413, "too large"))
        page.click("#home")
        page.set_input_files("#file", PHONE_CALL)
        page.click("#go")
        expect(page.locator("#error-title")).to_be_visible()
        assert violations(page) == []


def test_a_phone_has_no_sideways_scrolling(browser: Browser, server: StandIn) -> None:
    size = {"width": 360, "height": 740}
    with opened(browser, server.url, viewport=size, has_touch=True, is_mobile=True) as page:
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not page.evaluate(wide)
        transcribe(page)
        assert not page.evaluate(wide)
        expect(page.locator("#play")).to_be_in_viewport()


def test_a_finger_is_not_told_to_drop(browser: Browser, server: StandIn) -> None:
    with opened(browser, server.url, has_touch=True, is_mobile=True) as page:
        expect(page.get_by_text("Choose or record")).to_be_visible()
        expect(page.get_by_text("Drop a recording here")).to_be_hidden()


def test_paper_has_the_transcript_and_no_buttons(page: Page) -> None:
    transcribe(page)
    page.emulate_media(media="print")
    expect(page.locator(".turn")).to_have_count(6)
    expect(page.locator(".said").last).to_be_visible()
    for tool in ("#dock", ".bar", ".panel", ".edit"):
        expect(page.locator(tool).first).to_be_hidden()


def test_files_are_served_with_tags_types_and_a_policy_and_nothing_else_is(server: StandIn) -> None:
    with urllib.request.urlopen(server.url) as answer:
        headers = answer.headers
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Cache-Control"] == "no-cache"
        assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    again = urllib.request.Request(server.url, headers={"If-None-Match": headers["ETag"]})
    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(again)
    for path in ("result/", "__init__.py", "../stand_in.py", "result"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url + path)

"""The page, as a person uses it, in a real browser (P-1 to P-10)."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from paths import PHONE_CALL, REPOSITORY

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or shutil.which("chromium") is None,
    reason="needs a browser: make page-test",
)
if importlib.util.find_spec("playwright") is not None:
    import sys

    sys.path.insert(0, str(REPOSITORY / "tests" / "page"))
    from browser import export, launch, opened, transcribe, turns, violations
    from playwright.sync_api import expect, sync_playwright
    from stand_in import Refusal, StandIn, recorded

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    running = stand_in.start()
    yield stand_in
    running.should_exit = True


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = launch(playwright)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser, server: StandIn) -> Iterator[Page]:
    server.answers.clear()
    server.release.set()
    with opened(browser, server.url) as page:
        yield page


def test_an_upload_becomes_turns_of_two_speakers_with_their_times(
    page: Page, server: StandIn
) -> None:
    transcribe(page)
    found = turns(page)
    assert [(name, time) for name, time, _ in found] == [
        ("Speaker A", "0:06"),
        ("Speaker B", "0:08"),
        ("Speaker A", "0:14"),
        ("Speaker B", "0:18"),
        ("Speaker A", "0:21"),
        ("Speaker B", "0:27"),
    ]
    assert found[2][2] == "I'm Sheila and Texas originally from Chicago."
    sent = server.fields[-1]
    assert sent["response_format"] == ["verbose_json"] and sent["stream"] == ["true"]
    assert sent["diarize"] == ["true"] and sent["include[]"] == ["speakers", "waveform"]


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_file_may_be_dropped_or_pasted_anywhere(page: Page, way: str) -> None:
    page.evaluate(
        """way => {
          const data = new DataTransfer();
          data.items.add(new File(["sound"], "meeting.m4a", { type: "audio/mp4" }));
          document.body.dispatchEvent(
            way === "drop"
              ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
              : new ClipboardEvent("paste", { clipboardData: data, bubbles: true }),
          );
        }""",
        way,
    )
    expect(page.locator("#file-name")).to_have_text("meeting.m4a")
    expect(page.locator("#go")).to_be_focused()


def test_options_reach_the_server(page: Page, server: StandIn) -> None:
    page.click("summary")
    page.select_option("#language", "de")
    page.select_option("#speakers", "3")
    page.fill("#keywords", "Okonjo, pyannote")
    page.check("#translate")
    transcribe(page)
    sent = server.fields[-1]
    assert sent["language"] == ["de"] and sent["num_speakers"] == ["3"]
    assert sent["task"] == ["translate"] and sent["keywords[]"] == ["Okonjo", "pyannote"]


def test_text_and_progress_are_there_while_the_server_works(page: Page, server: StandIn) -> None:
    server.release.clear()
    page.set_input_files("#file", PHONE_CALL)
    page.click("#go")
    expect(page.locator("#live")).to_contain_text("Hello. Hello. Oh, hello.")
    expect(page.locator("#work-left")).to_contain_text("0:14 of 0:30")
    server.release.set()
    expect(page.locator("#result")).to_be_visible()


def test_cancel_hangs_up(page: Page, server: StandIn) -> None:
    server.release.clear()
    server.hung_up.clear()
    page.set_input_files("#file", PHONE_CALL)
    page.click("#go")
    expect(page.locator("#live")).to_contain_text("Hello.")
    page.click("#cancel")
    expect(page.locator("#start")).to_be_visible()
    assert server.hung_up.wait(10)
    expect(page.locator("#file-name")).to_have_text("sample.wav")


def test_a_clicked_word_is_heard_within_50_ms_and_marked(page: Page) -> None:
    transcribe(page)
    page.evaluate(
        "document.querySelector('#audio').addEventListener('seeked',"
        " event => window.heard ??= event.target.currentTime)"
    )
    word = page.locator(".w", has_text="Sheila").first
    word.click()
    page.wait_for_function("() => window.heard !== undefined")
    said = next(
        each for each in recorded("phone_call")["done"]["words"] if each["word"] == "Sheila"
    )
    assert abs(page.evaluate("window.heard") - said["start"]) < 0.05
    page.wait_for_function("() => !document.querySelector('#audio').paused")
    page.click("#play")
    assert page.locator(".is-spoken").count() == 1
    assert page.locator(".turn.is-current .name").inner_text() == "Speaker A"


def test_a_new_name_is_everywhere_and_in_the_subtitles(page: Page) -> None:
    transcribe(page)
    assert "A: Hello. Hello." in export(page, "SubRip")
    name = page.get_by_role("textbox", name="Name of Speaker A")
    name.fill("Sheila")
    name.press("Enter")
    assert [name for name, _, _ in turns(page)].count("Sheila") == 3
    srt = export(page, "SubRip")
    assert "Sheila: Hello. Hello." in srt and "B: Oh, hello." in srt
    assert "<v Sheila>" in export(page, "WebVTT")
    page.click("#undo")
    assert "Sheila:" not in export(page, "SubRip")


def test_merging_speakers_can_be_undone(page: Page) -> None:
    transcribe(page)
    page.get_by_role("button", name="Speaker B is somebody else too").click()
    page.get_by_role("menuitem", name="Speaker A").click()
    expect(page.locator(".turn")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(page.locator(".turn")).to_have_count(6)


def test_one_turn_can_be_given_to_somebody_else(page: Page) -> None:
    transcribe(page)
    page.locator(".speaker").last.click()
    page.get_by_role("menuitem", name="Somebody new").click()
    assert turns(page)[-1][0] == "Speaker C"
    assert page.locator(".person").count() == 3


def test_an_edited_word_keeps_its_time_and_is_there_after_a_reload(page: Page) -> None:
    transcribe(page)
    page.locator(".w", has_text="Sheila").click()
    page.keyboard.press("k")
    page.keyboard.press("e")
    page.get_by_role("textbox", name="Text of the turn").fill("I'm Sheila in Texas, from Chicago.")
    page.keyboard.press("Enter")
    assert "Sheila in Texas, from" in export(page, "Text")
    before = {each["word"]: each for each in recorded("phone_call")["done"]["words"]}
    page.reload()
    expect(page.locator(".turn").nth(2)).to_contain_text("I'm Sheila in Texas, from Chicago.")
    after = json.loads(export(page, "Words, JSON"))["turns"][2]["words"]
    assert " ".join(each["word"] for each in after) == "I'm Sheila in Texas, from Chicago."
    assert after[1]["start"] == before["Sheila"]["start"]
    assert after[2]["start"] == before["and"]["start"] and after[2]["end"] == before["and"]["end"]


def test_what_was_kept_can_be_opened_and_deleted(page: Page) -> None:
    transcribe(page)
    page.get_by_role("button", name="Keep it").click()
    page.click("#home")
    page.click(".recent-open")
    expect(page.locator(".turn")).to_have_count(6)
    expect(page.locator("#no-audio")).to_be_hidden()
    page.click("#home")
    page.click("#delete-all")
    page.locator("#dialog").get_by_role("button", name="Delete all").click()
    expect(page.locator("#recent-empty")).to_be_visible()
    page.go_back()
    expect(page.locator("#start")).to_be_visible()


def test_a_busy_server_is_waited_for(page: Page, server: StandIn) -> None:
    server.answers.append(Refusal(429, "the queue is full", retry_after=2))
    page.set_input_files("#file", PHONE_CALL)
    page.click("#go")
    expect(page.locator("#work-stage")).to_contain_text("The server is busy")
    expect(page.locator("#work-left")).to_contain_text("Next try in 0:0")
    expect(page.locator("#result")).to_be_visible()


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (401, "The server wants an API key"),
        (413, "The file is too large for this server"),
        (400, "The server could not use this recording"),
        (500, "Something went wrong on the server"),
    ],
)
def test_refusals_can_be_read(page: Page, server: StandIn, status: int, title: str) -> None:
    server.answers.append(Refusal(status, "file: 612 MB; the limit is 512 MB"))
    page.set_input_files("#file", PHONE_CALL)
    page.click("#go")
    expect(page.locator("#error-title")).to_have_text(title)
    page.click("#back")
    expect(page.locator("#start")).to_be_visible()


def test_offline_is_said_and_can_be_tried_again(page: Page) -> None:
    page.set_input_files("#file", PHONE_CALL)
    page.context.set_offline(True)
    page.click("#go")
    expect(page.locator("#error-title")).to_have_text("You are offline")
    page.context.set_offline(False)
    page.click("#retry")
    expect(page.locator("#result")).to_be_visible()


def test_the_key_is_forgotten_with_the_tab_unless_it_is_to_be_remembered(
    page: Page, server: StandIn
) -> None:
    page.click("summary")
    page.fill("#key", "secret")
    page.keyboard.press("Tab")
    assert page.evaluate("sessionStorage.getItem('key')") == "secret"
    assert page.evaluate("localStorage.getItem('key')") is None
    transcribe(page)
    assert server.keys[-1] == "Bearer secret"
    page.click("#home")
    page.check("#remember")
    assert page.evaluate("localStorage.getItem('key')") == "secret"


def test_markup_that_is_said_stays_text(page: Page, server: StandIn) -> None:
    evil = "<img src=x onerror=document.title='owned'>"
    answer = recorded("phone_call")
    answer["deltas"][0]["text"] = f" {evil}"
    turn = answer["done"]["speakers"][0]
    turn["words"][0]["text"] = f" {evil}"
    for word in turn["words"]:
        word["speaker"] = evil
    turn["speaker"] = evil
    server.answers.append(answer)
    transcribe(page)
    assert page.locator("#main img").count() == 0
    assert turns(page)[0][0] == evil and evil in turns(page)[0][2]
    assert page.title().startswith("sample.wav")


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.set_input_files("#file", PHONE_CALL)
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
    page.locator("#export").focus()
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "sample.srt"


def test_uncertain_words_are_marked_and_found_one_after_the_other(
    page: Page, server: StandIn
) -> None:
    answer = recorded("phone_call")
    for place, word in ((1, 3), (4, 2)):
        answer["done"]["speakers"][place]["words"][word]["probability"] = 0.2
    server.answers.append(answer)
    transcribe(page)
    unsure = page.locator(".unsure").all_inner_texts()
    assert len(unsure) >= 2
    for text in unsure[:2]:
        page.keyboard.press("n")
        assert page.evaluate("document.activeElement.textContent") == text


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


def test_twenty_thousand_words_scroll_to_the_last(page: Page, server: StandIn) -> None:
    answer = recorded("phone_call")
    turns_once = answer["done"]["speakers"]
    answer["done"]["speakers"] = []
    n_words, at = 0, 0.0
    while n_words < 20_000:
        for turn in copy.deepcopy(turns_once):
            for word in turn["words"]:
                word["timestamp"] = [round(at + time, 3) for time in word["timestamp"]]
            n_words += len(turn["words"])
            answer["done"]["speakers"].append(turn)
        at += 30
    answer["done"] |= {"segments": [], "words": [], "duration": at}
    server.answers.append(answer)
    transcribe(page)
    assert page.locator(".w").count() == n_words
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator(".w").last
    expect(last).to_be_in_viewport()
    last.click()
    wanted = at - 30 + turns_once[-1]["words"][-1]["timestamp"][0]
    # The recording is half a minute; the timeline knows better.
    assert float(page.get_attribute("#seek", "max") or 0) > wanted


def test_the_microphone_becomes_a_file(playwright: Playwright, server: StandIn) -> None:
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={PHONE_CALL}",
    )
    chromium = launch(playwright, *flags)
    with opened(chromium, server.url) as page:
        page.click("#record")
        expect(page.locator("#recorded")).to_have_text("0:02")
        page.click("#record-stop")
        expect(page.locator("#file-name")).to_have_text(re.compile("^Recording 2"))
        page.click("#go")
        expect(page.locator("#result")).to_be_visible()
        name, n_bytes = server.fields[-1]["file"][0].rsplit(" ", 1)
        assert name.endswith(".webm") and int(n_bytes) > 5000
    chromium.close()


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

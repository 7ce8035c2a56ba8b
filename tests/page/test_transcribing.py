"""From a recording to its transcript: every way in, and what may go wrong."""

from __future__ import annotations

import re

import pytest
from page.browser import launch, opened, transcribe, turns
from page.stand_in import Refusal, StandIn
from paths import PHONE_CALL
from playwright.sync_api import Page, Playwright, expect


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

"""Voices that are remembered: in this browser, with consent, until they are forgotten."""

from __future__ import annotations

from page.browser import transcribe
from page.stand_in import VOICEPRINT, StandIn
from playwright.sync_api import Page, expect

STORED = """async () => {
  const open = indexedDB.open("speech-endpoint");
  await new Promise((resolve) => (open.onsuccess = resolve));
  const request = open.result.transaction("voices").objectStore("voices").getAll();
  await new Promise((resolve) => (request.onsuccess = resolve));
  return request.result;
}"""


def test_k8_a_voice_is_kept_after_consent_sent_with_the_next_recording_and_forgotten(
    page: Page, server: StandIn
) -> None:
    transcribe(page)
    page.locator(".name-edit").first.fill("Anna")
    page.keyboard.press("Enter")
    remember = page.get_by_role("button", name="Remember the voice of Anna")
    remember.click()
    page.get_by_role("button", name="Not now").click()
    assert page.evaluate(STORED) == [] and not server.parts
    remember.click()
    expect(page.locator("#dialog-body")).to_contain_text("biometric data")
    page.get_by_role("button", name="They agree: remember").click()
    expect(page.locator("#notices")).to_contain_text("Anna will be named")
    ((start, end),) = server.parts
    assert 0 < start < end < 30
    assert page.evaluate(STORED) == [{"name": "Anna", "voiceprint": VOICEPRINT}]

    page.click("#home")
    transcribe(page)
    assert server.fields[-1]["known_speaker_names[]"] == ["Anna"]
    assert server.fields[-1]["known_speaker_references[]"] == [VOICEPRINT]

    page.click("#home")
    page.get_by_label("Forget the voice of Anna").click()
    expect(page.locator("#voices-box")).to_be_hidden()
    assert page.evaluate(STORED) == []
    transcribe(page)
    assert "known_speaker_names[]" not in server.fields[-1]

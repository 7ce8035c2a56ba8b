"""The transcript: what is heard, changed, kept and exported."""

from __future__ import annotations

import copy
import json

from page.browser import export, transcribe, turns
from page.stand_in import StandIn, recorded
from playwright.sync_api import Page, expect


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

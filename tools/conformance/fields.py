"""What forms may hold, and what it does: rules A-1 to A-6, A-13, A-14, A-31."""

from __future__ import annotations

from tools.conformance.row import Row, expect
from tools.conformance.target import SPOKEN, Fields, Target, answered

MODEL = ("model", "whisper-1")
VERBOSE = ("response_format", "verbose_json")


def file_last(target: Target) -> None:
    answer = answered(target.post([MODEL, VERBOSE, ("language", "en")], file_last=True))
    expect("segments" in answer, "the fields before the file had no effect")


def file_first(target: Target) -> None:
    answer = answered(target.post([MODEL, VERBOSE, ("language", "en")]))
    expect("segments" in answer, "the fields after the file had no effect")


def plain_lists(target: Target) -> None:
    answer = answered(target.post([MODEL, VERBOSE, ("timestamp_granularities", "word")]))
    expect(answer.get("words"), "timestamp_granularities without [] gave no words")


def bracketed_lists(target: Target) -> None:
    expect(target.verbose.get("words"), "timestamp_granularities[] gave no words")
    expect(target.verbose.get("segments"), "timestamp_granularities[] gave no segments")


def chunking_fields(target: Target) -> None:
    fields = [("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "0.5")]
    expect_spoken(target, [MODEL, *fields])


def chunking_json(target: Target) -> None:
    expect_spoken(target, [MODEL, ("chunking_strategy", '{"type": "server_vad"}')])


def last_wins(target: Target) -> None:
    fields = [MODEL, ("response_format", "text"), ("response_format", "json")]
    expect_spoken(target, fields)


def booleans(target: Target) -> None:
    for value, streams in (("1", True), ("on", True), ("0", False), ("off", False)):
        response = target.post([MODEL, ("stream", value)])
        content_type = response.headers.get("content-type", "")
        expect(response.status_code == 200, f"stream={value}: {response.status_code}")
        told = content_type.startswith("text/event-stream")
        expect(told is streams, f"stream={value} gave {content_type}")


def unknown_field(target: Target) -> None:
    answer = answered(target.post([MODEL, ("flavour", "vanilla")]))
    expect("flavour" in str(answer.get("warnings")), "JSON: the field was ignored without a word")
    text = target.post([MODEL, ("flavour", "vanilla"), ("response_format", "text")])
    expect("flavour" in text.headers.get("x-warnings", ""), "text: no x-warnings names the field")


def translation(target: Target) -> None:
    answer = answered(target.post([MODEL, VERBOSE], "/v1/audio/translations"))
    expect(answer.get("language") == "english", f"language is {answer.get('language')!r}")
    expect(SPOKEN in str(answer.get("text")).lower(), "another text")


def any_model(target: Target) -> None:
    expect_spoken(target, [("model", "nonsense-of-2031")])


def no_model(target: Target) -> None:
    expect_spoken(target, [])


def models(target: Target) -> None:
    body = answered(target.get("/v1/models"))
    expect(body.get("object") == "list", "object is not 'list'")
    for model in body.get("data") or []:
        missing = {"id", "object", "created", "owned_by"} - set(model)
        expect(not missing, f"a model without {', '.join(sorted(missing))}")
    names = [str(model["id"]) for model in body.get("data") or []]
    expect(names, "no models")
    expect(any("whisper" in each or "transcribe" in each for each in names),
           "speakr shows only names with 'whisper' or 'transcribe'")  # fmt: skip
    one = answered(target.get(f"/v1/models/{names[0]}"))
    expect(one.get("id") == names[0], f"/v1/models/{names[0]} is another")
    expect(target.get("/v1/models/nonsense-of-2031").status_code == 404, "an unknown one: no 404")


def no_speakers_unasked(target: Target) -> None:
    segments = target.verbose["segments"]
    expect(not any("speaker" in each for each in segments), "speakers that nobody asked for")


def expect_spoken(target: Target, fields: Fields) -> None:
    """The text is the clip's."""
    text = str(answered(target.post(fields)).get("text"))
    expect(SPOKEN in text.lower(), f"another text: {text[:60]!r}")


ROWS = (
    Row("openai", "A-1", "the file after its fields", file_last),
    Row("openai", "A-1", "the file before its fields", file_first),
    Row("openai", "A-2", "`timestamp_granularities[]`", bracketed_lists),
    Row("openai", "A-2", "`timestamp_granularities`", plain_lists),
    Row("openai", "A-2", "`chunking_strategy[type]`", chunking_fields),
    Row("openai", "A-2", "`chunking_strategy` as JSON", chunking_json),
    Row("openai", "A-3", "of a field given twice, the last", last_wins),
    Row("openai", "A-3", "booleans as 1, on, 0, off", booleans),
    Row("openai", "A-4", "a field without effect is named", unknown_field),
    Row("openai", "A-6", "translations, verbose: english", translation),
    Row("openai", "A-13", "any model's name is served", any_model),
    Row("openai", "A-13", "`/v1/models`, one of them, 404 for others", models),
    Row("openai", "A-14", "no speakers unless asked", no_speakers_unasked),
    Row("openai", "A-31", "no model, and it is served", no_model),
)

"""Random words, segments, speaker turns and transcripts. Times lie on a grid of 0.1 s."""

from __future__ import annotations

import hypothesis.strategies as st

from speech_endpoint.transcript import (
    DecodingScores,
    Diarization,
    KnownSpeaker,
    Segment,
    SpeakerTurn,
    Transcript,
    Turn,
    Word,
)

times = st.integers(0, 400).map(lambda n: n / 10)
spans = st.tuples(times, st.integers(0, 30).map(lambda n: n / 10)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
texts = st.sampled_from([" and", " so,", " yes.", " you?", "字", " R&D", " <b>", " naïve"])
probabilities = st.integers(0, 1000).map(lambda n: n / 1000)

words = st.builds(
    lambda text, span, probability: Word(text, *span, probability), texts, spans, probabilities
)
segments = st.builds(
    Segment,
    st.lists(words, min_size=1, max_size=6).map(tuple),
    st.sampled_from(["", "en", "de"]),
    st.none() | st.just(DecodingScores(0.0, -0.2, 1.3, 0.01)),
)
segment_lists = st.lists(segments, max_size=5)
# Labels as pipelines write them, and one that is a name of ours in the wrong place.
labels = st.sampled_from(["A", "B", "speaker 7", "SPEAKER_01"])
speaker_turns = st.builds(lambda label, span: SpeakerTurn(label, *span), labels, spans)
turn_lists = st.lists(speaker_turns, max_size=12)
diarizations = st.builds(
    lambda turns, exclusive: Diarization(tuple(turns), tuple(exclusive)),
    turn_lists.map(lambda turns: sorted(turns, key=lambda turn: turn.start)),
    turn_lists,
)

names = st.integers(0, 12).map(lambda n: f"SPEAKER_{n:02d}")
turns = st.builds(Turn, names, st.lists(words, min_size=1, max_size=30).map(tuple), st.booleans())
known_speakers = st.builds(
    KnownSpeaker,
    st.sampled_from(["Anna", "A", "名"]),
    st.booleans(),
    st.none(),
    st.none() | probabilities,
    st.integers(0, 9_000).map(lambda n: n / 10),
)
transcripts = st.builds(
    Transcript,
    segments=segment_lists.map(tuple),
    turns=st.lists(turns, max_size=4).map(tuple),
    language=st.none() | st.sampled_from(["en", "de"]),
    duration_s=st.floats(0, 20_000),
    known_speakers=st.lists(known_speakers, max_size=2).map(tuple),
    warnings=st.lists(st.sampled_from(["one", "two"])).map(tuple),
    timings_s=st.dictionaries(st.sampled_from(["decode", "asr", "total"]), st.floats(0, 100)),
    stats=st.dictionaries(st.sampled_from(["steps", "tokens"]), st.integers(0, 100)),
)

awkward_texts = (
    " ", "", "\n\n", "\u200b", " -->", "1\n00:00:01,000 --> 00:00:02,000", " a" * 30, "字" * 90,
    " Donaudampfschifffahrtsgesellschaftskapitän", "가나다", "ก็", "\u0301", "👩‍👩‍👧‍👦" * 9,
    "\ud800",
)  # fmt: skip
any_texts = st.text(st.characters(), max_size=30) | st.sampled_from(awkward_texts)
any_words = st.builds(lambda text, span: Word(text, *span), texts | any_texts, spans)
any_names = names | any_texts | st.just('Zoë "Z" <b>\nO\'Hara & Co. -->')
any_speech = st.lists(any_words, min_size=1, max_size=12).map(tuple)
any_transcripts = st.builds(
    Transcript,
    segments=st.lists(any_speech.map(Segment), max_size=3).map(tuple),
    turns=st.lists(st.builds(Turn, any_names, any_speech), max_size=5).map(tuple),
    duration_s=st.floats(0, 60),
)
"""Whatever the texts, the names and the times: words that lie upon each other, or go back."""

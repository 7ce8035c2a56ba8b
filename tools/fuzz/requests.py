"""Requests of every kind, right and wrong: whatever JSON, a query or a body can make of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st

from tools.fuzz.bait import Canary
from tools.fuzz.hostile import hostile
from tools.fuzz.mutations import mutate

NUMBERS = (
    st.integers() | st.floats() | st.sampled_from([10**30, -(10**30), 2**63, 2**31, 1e308, -0.0])
)
# Half characters and controls too: JSON can hold them.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(["", " ", "auto", "none", "null", "true", "False", "1e9", "0x10", "nan"]),
    st.sampled_from(["en", "EN-us", "zh-Hans", "pt_BR", "english", "<|endoftext|>", "../../etc"]),
    st.sampled_from(["\ud800", "\x00", "\u202e", "a\u0301"]),
)
LONG_TEXTS = st.builds(
    lambda text, n: text * n, st.sampled_from(["9", "x", "a\u0301", " "]), st.integers(0, 100_000)
)
KEYS = TEXTS


def nested(depth: int, inside: Any, *, lists: bool) -> Any:
    """A value in so many lists, or objects, as JSON may nest them."""
    for _ in range(depth):
        inside = [inside] if lists else {"a": inside}
    return inside


SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
DEEP = st.builds(nested, st.sampled_from([3, 200, 1_000]), SCALARS, lists=st.booleans())
VALUES = st.recursive(
    SCALARS | LONG_TEXTS | DEEP,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)

# What each parameter may be, if it is right; everything is tried as every parameter too.
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "task": st.sampled_from(["transcribe", ""]),
    "batch_size": st.integers(1, 64) | st.just("8"),
    "chunk_length_s": st.integers(1, 30) | st.floats(1, 30) | st.just("20"),
    "sampling_rate": st.integers(1_000, 384_000),
    "language": st.sampled_from(["en", "english", "en-US", "auto", "", None]),
    "channels": st.sampled_from(["mix", "speakers"]),
    "num_speakers": st.integers(1, 8),
    "min_speakers": st.integers(1, 8),
    "max_speakers": st.integers(1, 8),
    "return_timestamps": st.sampled_from([True, False, "word", "segment", "true"]),
    "diarize": st.sampled_from([None, False, True]),
    "assisted": st.booleans(),
    "prompt": st.none() | st.text(max_size=30),
    "response_format": st.sampled_from(["json", "text", "srt", "vtt", "rttm"]),
    "audio_track": st.integers(0, 3),
    "max_line_chars": st.integers(10, 100),
    "max_cue_s": st.floats(1, 10),
}
HARMLESS = st.fixed_dictionaries(
    {}, optional={"response_format": RIGHT["response_format"], "batch_size": st.integers(1, 64)}
)
NAMES = st.sampled_from(sorted(RIGHT))


def _parameter(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(name), RIGHT[name] | VALUES)


MIXED = st.lists(NAMES.flatmap(_parameter), min_size=1, max_size=6).map(dict)
CROWDS = st.integers(0, 3_000).map(lambda n: {f"unknown {k}": k for k in range(n)})
PARAMETERS = (
    MIXED | MIXED | MIXED | st.dictionaries(KEYS | NAMES, VALUES, max_size=5) | VALUES | CROWDS
)


def requests(corpus: Sequence[bytes], bait: Canary) -> st.SearchStrategy[Any]:
    """Requests as the host hands them over, or worse.

    Args:
        corpus: real files; the first of them is short and can be heard.
        bait: the canary that hostile files name.
    """
    numbers = st.integers(0, 2**32)
    good = st.builds(lambda: corpus[0])  # Not `just`, which is written out in reports.
    bad = numbers.map(lambda number: mutate(corpus, number)) | numbers.map(
        lambda number: hostile(bait, number)
    )
    wrapped = st.tuples(bad, WRAPPINGS).map(lambda pair: pair[1](pair[0]))
    inputs = st.one_of(VALUES, VALUES, TEXTS, st.binary(max_size=200), wrapped)
    return st.one_of(
        *[_request(good, PARAMETERS)] * 8,
        *[_request(inputs, HARMLESS)] * 3,
        _request(inputs, PARAMETERS),
        st.dictionaries(st.sampled_from(["inputs", "parameters", "input", ""]), VALUES),
        VALUES,
    )


def _request(
    inputs: st.SearchStrategy[Any], parameters: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"inputs": inputs}, optional={"parameters": parameters})


def _lines(payload: bytes) -> str:
    return base64.encodebytes(payload).decode()


def _cut(payload: bytes) -> str:
    return base64.b64encode(payload).decode()[:-1]


def _blanks(payload: bytes) -> str:
    return base64.b64encode(payload).decode().replace("+", " ")


def _latin_1(payload: bytes) -> str:
    return payload.decode("latin-1")


def _data_url(payload: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(payload).decode()


WRAPPINGS: st.SearchStrategy[Callable[[bytes], Any]] = st.sampled_from(
    [bytes, bytes, bytearray, _lines, _cut, _blanks, _data_url, _latin_1]
)

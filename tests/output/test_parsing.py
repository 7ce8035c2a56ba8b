"""Reading back what an answer says."""

from __future__ import annotations

import json

import pytest
import strategies
from hypothesis import given

from speech_endpoint.output.parsing import from_json
from speech_endpoint.output.response import to_json
from speech_endpoint.parameters import InferenceConfig

pytestmark = pytest.mark.pure
WITH_WORDS = InferenceConfig(return_timestamps="word")


@given(strategies.transcripts)
def test_an_answer_read_back_gives_the_same_answer(transcript) -> None:
    answer = json.loads(json.dumps(to_json(transcript, WITH_WORDS)))
    assert to_json(from_json(answer), WITH_WORDS) == answer


@pytest.mark.parametrize("answer", [{}, {"text": "no chunks"}, {"chunks": [{"text": "a"}]}, []])
def test_what_is_no_answer_is_refused(answer) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        from_json(answer)

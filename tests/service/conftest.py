"""The models as the service's tests have them, and what each job is answered alone."""

from __future__ import annotations

from typing import Any

import pytest
from jobs import WISHES, said
from paths import REPOSITORY

from speech_endpoint.config import ModelSettings
from speech_endpoint.pipeline import SpeechPipeline


@pytest.fixture(scope="session")
def pipeline(environment: None) -> SpeechPipeline:
    return SpeechPipeline(ModelSettings(dtype="float32"), str(REPOSITORY))


@pytest.fixture(scope="session")
def alone(pipeline: SpeechPipeline) -> dict[str, dict[str, Any]]:
    """What the handler answers."""
    answers = {name: said(pipeline.run(make())) for name, make in WISHES.items()}
    assert all(answer["text"] for answer in answers.values())
    return answers

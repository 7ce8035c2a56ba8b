"""The bundle's pipeline: long recordings section by section, and in units."""

from __future__ import annotations

import numpy as np
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate

from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.diarization.networks.bundle import BundledDiarization
from speech_endpoint.units import finish


def annotation(pipeline: BundledDiarization, waveform: np.ndarray) -> Annotation:
    result = Annotation()
    for n, turn in enumerate(finish(pipeline.diarize(waveform, SpeakerLimits())).turns):
        result[Segment(turn.start, turn.end), n] = turn.speaker
    return result


def difference_by_sections(bundle, waveform: np.ndarray, section_chunks: int) -> float:
    """The diarization error rate of a recording in sections, measured against it in one."""
    at_once = annotation(BundledDiarization(bundle), waveform)
    in_sections = annotation(BundledDiarization(bundle, section_chunks), waveform)
    assert len(in_sections.labels()) == len(at_once.labels()) >= 2
    return DiarizationErrorRate(collar=0.0)(at_once, in_sections)


def test_a_call_in_sections_of_four_seconds_is_diarized_as_in_one(diarization_bundle, phone_call):
    assert difference_by_sections(diarization_bundle, phone_call.waveform, 4) <= 0.005


def test_a_conversation_in_sections_is_diarized_as_in_one(diarization_bundle, conversation):
    waveform = conversation("four_speakers").waveform
    assert difference_by_sections(diarization_bundle, waveform, 12) <= 0.005

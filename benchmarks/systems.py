"""The systems that are compared, behind one call: a clip in, a hypothesis out.

All have the same weights, and all are greedy but for transformers' chunked pipeline where it says
so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus import REPOSITORY, Clip
from benchmarks.metrics import Hypothesis
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Word

ASR_MODEL = REPOSITORY / "models" / "whisper-base"
CTRANSLATE2_MODEL = REPOSITORY / "models" / "whisper-base-ct2"
DRAFT_MODEL = REPOSITORY / "models" / "whisper-tiny.en"
DIARIZATION_MODEL = REPOSITORY / "models" / "speaker-diarization"
# The endpoint's settings for each number format. In "int8" whatever the decoder multiplies at every
# step is; the encoder stays bfloat16.
PRECISIONS: dict[str, dict[str, Any]] = {
    "auto": {"dtype": "auto", "quantization": "auto"},
    "float32": {"dtype": "float32", "quantization": "none"},
    "bf16": {"dtype": "bfloat16", "quantization": "none"},
    "int8": {"dtype": "bfloat16", "quantization": "int8"},
}
CHUNK_S = 30
CHUNKED_BATCH, FASTER_WHISPER_BATCH = 24, 16
# Otherwise transformers leaves the task's token out, and Whisper writes nonsense.
TASK = "transcribe"
# Sampling at a higher temperature, where greedy decoding fails, draws from here.
SEED = 0


System = Callable[[Clip], Hypothesis]
"""Something to be measured, loaded."""


@dataclass(frozen=True)
class Entry:
    """A system by the name that tables give it."""

    name: str
    make: Callable[[], System]
    """Loads it; picklable."""
    is_slow: bool = False
    """It takes about as long as the audio, or longer: one round is enough."""
    takes_file: bool = False
    """It decodes audio files itself; for others they are decoded off the clock."""


def _settings(precision: str, drafting: bool, asr_model: Path = ASR_MODEL) -> ModelSettings:
    return ModelSettings(
        asr_model=str(asr_model),
        assistant_model=str(DRAFT_MODEL) if drafting else None,
        diarization_model=str(DIARIZATION_MODEL),
        **PRECISIONS[precision],
    )


class OurRecogniser:
    """This project's speech to text; word times included, as always."""

    def __init__(
        self,
        precision: str = "auto",
        batch_size: int = 24,
        drafting: bool = False,
        asr_model: Path = ASR_MODEL,
    ) -> None:
        from speech_endpoint.transcription.transcriber import Transcriber

        settings = _settings(precision, drafting, asr_model)
        self.transcriber = Transcriber(settings, str(REPOSITORY))
        self.config = InferenceConfig(batch_size=batch_size, assisted=drafting)

    def __call__(self, clip: Clip) -> Hypothesis:
        segments = self.transcriber(clip.waveform, self.config).segments
        words = tuple(word for segment in segments for word in segment.words)
        return Hypothesis("".join(segment.text for segment in segments), words)


class OurDiarizer:
    """This project's answer to who spoke when."""

    def __init__(self) -> None:
        from speech_endpoint.diarization.diarizer import Diarizer

        self.diarizer = Diarizer(str(DIARIZATION_MODEL), token=None, device="auto")

    def __call__(self, clip: Clip) -> Hypothesis:
        return Hypothesis(turns=self.diarizer(clip.waveform).turns)


class OurEndpoint:
    """This project as its handler runs it: words and speakers of an audio file.

    What the handler does besides, parameters and JSON, takes milliseconds. With `told_speakers` it
    is told the reference's number of speakers.
    """

    def __init__(
        self, precision: str = "auto", drafting: bool = False, *, told_speakers: bool = False
    ) -> None:
        from speech_endpoint.pipeline import SpeechPipeline

        self.pipeline = SpeechPipeline(_settings(precision, drafting), str(REPOSITORY))
        self.drafting, self.told_speakers = drafting, told_speakers

    def __call__(self, clip: Clip) -> Hypothesis:
        from speech_endpoint.reception import Request

        speakers = {turn.speaker for turn in clip.turns} if self.told_speakers else set()
        config = InferenceConfig(assisted=self.drafting, num_speakers=len(speakers) or None)
        found = self.pipeline.run(Request(clip.content, config))
        return Hypothesis(found.text, found.words, found.speaker_turns, timings_s=found.timings_s)


def convert_for_ctranslate2() -> None:
    """Make CTRANSLATE2_MODEL, float16 as on the Hub, of the same weights, unless it is there."""
    if CTRANSLATE2_MODEL.is_dir():
        return
    from ctranslate2.converters import TransformersConverter

    # Beside the final directory, then renamed: what bears the final name is complete.
    unfinished = CTRANSLATE2_MODEL.with_name(f".building-{CTRANSLATE2_MODEL.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    files = ["tokenizer.json", "preprocessor_config.json"]
    converter = TransformersConverter(str(ASR_MODEL), copy_files=files)
    converter.convert(str(unfinished), quantization="float16")
    unfinished.replace(CTRANSLATE2_MODEL)


class FasterWhisper:
    """faster-whisper with its defaults, but greedy (beam 1).

    "batched": windows by voice activity detection, 16 at a time. "sequential": one window after the
    other, each with the text before it as its prompt.
    """

    def __init__(self, mode: str, compute_type: str, word_times: bool = False) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        options: dict[str, Any] = {"device": "cpu", "compute_type": compute_type}
        options["cpu_threads"] = int(os.environ.get("OMP_NUM_THREADS", "0"))
        self.model: Any = WhisperModel(str(CTRANSLATE2_MODEL), **options)
        self.options: dict[str, Any] = {"beam_size": 1, "word_timestamps": word_times}
        if mode == "batched":
            self.model = BatchedInferencePipeline(self.model)
            self.options |= {
                "batch_size": FASTER_WHISPER_BATCH,
                "condition_on_previous_text": False,
            }

    def __call__(self, clip: Clip) -> Hypothesis:
        import ctranslate2

        ctranslate2.set_random_seed(SEED)
        segments = list(self.model.transcribe(clip.waveform, **self.options)[0])
        words = (word for segment in segments for word in segment.words or ())
        text = "".join(segment.text for segment in segments)
        return Hypothesis(text, tuple(Word(word.word, word.start, word.end) for word in words))


class TransformersChunked:
    """transformers' pipeline: overlapping windows of 30 s, 24 at a time, float32; text only."""

    def __init__(self, num_beams: int = 5) -> None:
        """Load it; five beams are its default."""
        import torch
        from transformers import pipeline

        load: Any = pipeline
        task = "automatic-speech-recognition"
        self.pipeline = load(task, model=str(ASR_MODEL), dtype=torch.float32, device="cpu")
        self.options = {"task": TASK, "num_beams": num_beams}

    def __call__(self, clip: Clip) -> Hypothesis:
        answer = self.pipeline(
            # A copy: the pipeline may write to what it is given.
            {"raw": clip.waveform.copy(), "sampling_rate": SAMPLE_RATE_HZ},
            chunk_length_s=CHUNK_S,
            batch_size=CHUNKED_BATCH,
            return_timestamps=True,
            generate_kwargs=self.options,
        )
        return Hypothesis(answer["text"])


class TransformersSequential:
    """transformers' long-form `generate`: each window from the last timestamp on; float32."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoProcessor, WhisperForConditionalGeneration

        model = WhisperForConditionalGeneration.from_pretrained(ASR_MODEL, dtype=torch.float32)
        self.model: Any = model.eval()
        self.processor: Any = AutoProcessor.from_pretrained(ASR_MODEL)

    def __call__(self, clip: Clip) -> Hypothesis:
        options = {"sampling_rate": SAMPLE_RATE_HZ, "return_tensors": "pt", "truncation": False}
        padding = "max_length" if clip.duration_s <= CHUNK_S else "longest"
        options |= {"padding": padding, "return_attention_mask": True}
        features = self.processor(clip.waveform, **options)
        tokens = self.model.generate(**features, task=TASK, return_timestamps=True)
        return Hypothesis(self.processor.batch_decode(tokens, skip_special_tokens=True)[0])

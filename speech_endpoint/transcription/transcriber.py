"""Speech to text: a waveform in, segments of timed words out, in order."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from speech_endpoint.audio.vad import SileroVAD, pad_segments, speech_segments
from speech_endpoint.audio.windows import Window, pack_windows
from speech_endpoint.config import InferenceConfig, ModelSettings, resolve_model
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.intervals import Interval, subtract
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Segment, Word
from speech_endpoint.transcription.word_timing import SpeakingPace, correct_times
from speech_endpoint.whisper.alignment import timed_words
from speech_endpoint.whisper.backends.cpu import pick_device, pick_precision
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.engine import DecodingLoop, DecodingStatistics
from speech_endpoint.whisper.features import LogMel
from speech_endpoint.whisper.model import Decoder, Encoder
from speech_endpoint.whisper.sequence import Hypothesis, Job, is_doubtful
from speech_endpoint.whisper.speculation import Drafter
from speech_endpoint.whisper.tokenizer import Vocabulary

# Radford et al. 2022, section 4.5: nobody speaks where this probability is exceeded and the text is unlikely too.
NO_SPEECH_CEILING = 0.6
# Speech that no word covers, longer than this, is decoded again from there; so often.
UNCOVERED_S = 1.0
LOOKS = 2
# An unlikely text of a window of this length or more is not kept: its halves are decoded instead.
SHORTEST_HALVED_S = 4.0
# Longest time a word is taken to cover, so that one stretched over a lost sentence does not hide it.
WORD_COVERS_S = 1.0
# Half of Whisper's text context (448) is left for the text; the prompt keeps its end (openai/whisper).
PROMPT_TOKENS = 223


@dataclass
class Transcription:
    """What was heard in a recording."""

    segments: list[Segment] = field(default_factory=list)
    language: str | None = None
    warnings: list[str] = field(default_factory=list)
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics)
    timings_s: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_channels(cls, channels: Sequence[Transcription]) -> Transcription:
        """What is said of the whole when each channel was transcribed alone; segments stay there."""
        longest = max(
            channels, key=lambda channel: sum(len(segment.words) for segment in channel.segments)
        )
        whole = cls(language=longest.language)
        for number, channel in enumerate(channels):
            prefix = f"channel {number}: " if len(channels) > 1 else ""
            whole.warnings += [prefix + warning for warning in channel.warnings]
            whole.statistics.add(channel.statistics)
            for name, seconds in channel.timings_s.items():
                whole.timings_s[name] = whole.timings_s.get(name, 0.0) + seconds
        return whole

    def stats(self) -> dict[str, float]:
        """Counts and ratios of the decoding."""
        decoding = self.statistics
        stats: dict[str, float] = {"steps": decoding.steps, "tokens": decoding.tokens}
        if decoding.drafted:
            stats["acceptance_rate"] = round(decoding.accepted / decoding.drafted, 3)
            stats["tokens_per_step"] = round(decoding.tokens / max(1, decoding.row_steps), 2)
        return stats


class Transcriber:
    """Whisper, and optionally a smaller one that drafts for it, on one device."""

    def __init__(self, settings: ModelSettings, repository: str) -> None:
        device = pick_device(settings.device)
        precision = pick_precision(settings.dtype, settings.quantization, device)
        checkpoint = load_checkpoint(resolve_model(settings.asr_model, repository), settings.token)
        self.vocabulary = Vocabulary(checkpoint)
        self.loop = DecodingLoop(
            LogMel(checkpoint.extractor, device),
            Encoder(checkpoint, device, precision.dtype),
            Decoder(checkpoint, device, precision),
            self.vocabulary,
        )
        self.drafter: Drafter | None = None
        if settings.assistant_model:
            assistant = load_checkpoint(
                resolve_model(settings.assistant_model, repository), settings.token
            )
            self.drafter = Drafter(assistant, self.vocabulary, checkpoint, device, precision)
        self.encode_text = checkpoint.encode_text
        self.voice_activity = SileroVAD()

    def __call__(self, waveform: np.ndarray, config: InferenceConfig) -> Transcription:
        """Transcribe a waveform, (samples,), float32, 16 kHz.

        Raises:
            InvalidRequest: a parameter that this model cannot serve.
        """
        result = Transcription()
        self.check(config)
        job = self._job_of(config, result.warnings)
        started = time.perf_counter()
        probabilities = self.voice_activity(waveform)
        voiced = speech_segments(probabilities, waveform.size / SAMPLE_RATE_HZ)
        result.timings_s["voice_activity"] = time.perf_counter() - started
        speech = pad_segments(voiced, waveform.size / SAMPLE_RATE_HZ)
        windows = pack_windows(speech, probabilities, config.chunk_length_s)
        recording = Recording(waveform, probabilities, voiced, windows, config.chunk_length_s, job)
        drafter = self.drafter if config.assisted else None
        seconds_of_language: dict[str, float] = {}
        hypotheses = self.loop.run(recording.queue, config.batch_size, drafter, result.statistics)
        for hypothesis in hypotheses:
            for segment in recording.accept(hypothesis, self.vocabulary):
                spoken = segment.end - segment.start
                seconds_of_language[segment.language] = (
                    seconds_of_language.get(segment.language, 0.0) + spoken
                )
        result.timings_s["encoder"] = result.statistics.encoder_s
        result.warnings += recording.warnings
        result.segments = recording.segments()
        result.language = max(
            seconds_of_language, key=seconds_of_language.__getitem__, default=None
        )
        return result

    def check(self, config: InferenceConfig) -> None:
        """Raise InvalidRequest for what this model cannot do."""
        if config.assisted and self.drafter is None:
            raise _unavailable(
                "assisted", "true needs a drafting model; set ASSISTANT_MODEL on the endpoint"
            )
        english_only = "needs a multilingual model; this one knows English only"
        language = config.language
        if not self.vocabulary.multilingual:
            if config.task == "translate":
                raise _unavailable("task", f"'translate' {english_only}")
            if language not in (None, "en"):
                raise _unavailable("language", f"{language!r} {english_only}")
        elif language is not None and language not in self.vocabulary.languages:
            raise _unavailable("language", f"this model does not know {language!r}")

    def _job_of(self, config: InferenceConfig, warnings: list[str]) -> Job:
        """A job with the options of a request, and no audio yet."""
        previous: tuple[int, ...] = ()
        if config.prompt and config.prompt.strip():
            tokens = self.encode_text(" " + config.prompt.strip())
            if len(tokens) > PROMPT_TOKENS:
                warnings.append(
                    f"prompt: {len(tokens)} tokens; only its last {PROMPT_TOKENS} are used"
                )
            previous = tuple(tokens[-PROMPT_TOKENS:])
        return Job(0, (), config.language, config.task, previous)


def _unavailable(parameter: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"parameters.{parameter}", "unavailable", message)


class Recording:
    """The windows of one recording, those that wait and what was heard in those that are done."""

    def __init__(
        self,
        waveform: np.ndarray,
        probabilities: np.ndarray,
        voiced: Sequence[Interval],
        windows: Sequence[Window],
        longest_s: float,
        options: Job,
    ) -> None:
        self.waveform, self.probabilities, self.voiced = waveform, probabilities, voiced
        self.longest_s, self.options = longest_s, options
        self.windows: list[Window] = []
        self.looks: list[int] = []
        self.unlikely_halves: set[int] = set()
        """Windows that were part of a longer one, of whose unlikely text nothing was kept."""
        self.queue: deque[Job] = deque()
        self.warnings: list[str] = []
        self._segments: list[list[Segment]] = []
        for window in windows:
            self._add(window, 0)

    def _add(self, window: Window, look: int, *, retries: bool = True) -> None:
        job = replace(
            self.options,
            index=len(self.windows),
            pieces=window.slices(self.waveform),
            retries=retries,
        )
        self.windows.append(window)
        self.looks.append(look)
        self._segments.append([])
        self.queue.append(job)

    def accept(self, hypothesis: Hypothesis, vocabulary: Vocabulary) -> list[Segment]:
        """Take in what was heard in a window; speech that it leaves out goes back to the queue."""
        index = hypothesis.job.index
        window, look, is_half = (
            self.windows[index],
            self.looks[index],
            index in self.unlikely_halves,
        )
        if hypothesis.mixed:
            self._add_halves(window, look, retries=hypothesis.job.retries, unlikely=is_half)
            return []
        text = vocabulary.text(hypothesis.tokens)
        # A second look that is unsure found nothing: rather a gap than an invention.
        if look > 0 and not is_half and is_doubtful(hypothesis, text):
            return []
        nobody_speaks = look == 0 and hypothesis.no_speech_probability > NO_SPEECH_CEILING
        if hypothesis.is_unlikely and (is_half or nobody_speaks):
            if text.strip():
                self._warn(
                    "what may be speech in the window at {:.1f} s was too unclear to write down",
                    window,
                )
            return []
        if hypothesis.is_unlikely and window.duration_s >= SHORTEST_HALVED_S:
            self._add_halves(window, 1, retries=True, unlikely=True)
            return []
        if hypothesis.looped:
            self._warn("a text that repeated itself was cut in the window at {:.1f} s", window)
        segments = [
            _to_recording(words, window, hypothesis.language)
            for words in timed_words(hypothesis, vocabulary)
        ]
        self._segments[index] = segments
        if look < LOOKS:
            self._look_again(window, segments, look + 1)
        return segments

    def _warn(self, sentence: str, window: Window) -> None:
        self.warnings.append(sentence.format(window.spans[0].start))

    def _add_halves(self, window: Window, look: int, *, retries: bool, unlikely: bool) -> None:
        """Listen for less at a time: noise or a second language may have spoiled the whole."""
        first = len(self.windows)
        for half in pack_windows(window.spans, self.probabilities, window.duration_s / 2, math.inf):
            self._add(half, look, retries=retries)
        if unlikely:
            self.unlikely_halves.update(range(first, len(self.windows)))

    def _look_again(self, window: Window, segments: Sequence[Segment], look: int) -> None:
        spans = [
            Interval(word.start, min(word.end, word.start + WORD_COVERS_S))
            for segment in segments
            for word in segment.words
        ]
        left = subtract(window.spans, spans, UNCOVERED_S)
        if look > 1 and not segments:
            return
        for again in pack_windows(left, self.probabilities, self.longest_s):
            # At higher temperatures a second of breath or murmur becomes a hundred tokens, which are then dropped.
            self._add(again, look, retries=False)

    def segments(self) -> list[Segment]:
        """Everything heard so far, in the order in which it was said.

        What a second look found may lie within a segment of the first, which is then split around it.
        """
        found = [segment for segments in self._segments for segment in segments]
        words = sorted(
            ((word, n) for n, segment in enumerate(found) for word in segment.words),
            key=lambda placed: placed[0].start,
        )
        held = correct_times([word for word, _ in words], self.voiced, SpeakingPace())
        timed = zip(held, (n for _, n in words), strict=True)
        return [
            Segment(tuple(word for word, _ in group), found[n].language)
            for n, group in itertools.groupby(timed, key=lambda placed: placed[1])
        ]


def _to_recording(words: Sequence[Word], window: Window, language: str) -> Segment:
    placed = []
    for word in words:
        start = window.to_recording_time(word.start)
        placed.append(
            replace(
                word, start=start, end=max(start, window.to_recording_time(word.end, is_end=True))
            )
        )
    return Segment(tuple(placed), language)

"""One recording's windows: results in; new requests and final segments out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from speech_endpoint.audio.vad import Probabilities
from speech_endpoint.audio.windows import Window, pack_windows
from speech_endpoint.intervals import Interval, subtract
from speech_endpoint.transcript import Segment, Waveform, Word
from speech_endpoint.transcription.guesses import without_guesses
from speech_endpoint.transcription.prompt import echoes_prompt
from speech_endpoint.transcription.word_timing import SpeakingPace, correct_times
from speech_endpoint.whisper.alignment import timed_words
from speech_endpoint.whisper.batching.sequence import (
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.fallback import Decision, decide
from speech_endpoint.whisper.tokenizer import Tokenizer

# Speech that no word covers is decoded again from there if it is as long as this; so many times, as
# long as there are words in it: of a sentence that is said eight times the model may write one.
MIN_GAP_S = 1.0
MAX_EXTRA_PASSES = 8
# A word is taken to cover no more than this, so that one stretched over a lost sentence does not
# hide it.
MAX_WORD_COVERAGE_S = 1.0


@dataclass(frozen=True)
class DetectedSpeech:
    """A recording, and where there is speech in it."""

    waveform: Waveform | Tensor
    """(samples,), on the host or where the model is."""
    probabilities: Probabilities
    """Of speech, in each frame of voice activity detection."""
    segments: Sequence[Interval]
    """Speech segments, in order."""


@dataclass
class WindowRecord:
    """A window of the recording, waiting or done."""

    window: Window
    pass_number: int = 0
    """0: the recording's speech; 1 and more: what earlier passes left uncovered, and the halves of
    windows that were split, which get one pass fewer."""
    is_split: bool = False
    """Part of a window whose text was of low confidence."""
    prompted: bool = True
    """Decoded with the caller's prompt, if there is one."""
    done: bool = False

    @property
    def start(self) -> float:
        return self.window.spans[0].start


class PlacedWord(NamedTuple):
    """A word in the recording's time, not corrected; sorts in order of time."""

    start: float
    record: int
    """Index of its window's record."""
    position: int
    """Among the window's words."""
    word: Word
    segment: Segment


class RecordingDecoder:
    """Keeps a recording's worklist, and puts its segments together in order of time."""

    def __init__(
        self,
        speech: DetectedSpeech,
        windows: Sequence[Window],
        max_window_s: float,
        group: RequestGroup,
        tokenizer: Tokenizer,
        warnings: Sequence[str] = (),
    ) -> None:
        """
        Args:
            speech: the recording.
            windows: all of its speech, in order.
            max_window_s: the longest that a window may be.
            group: the caller's.
            tokenizer: of the model that decodes.
            warnings: that the caller is to be given anyway.
        """
        self.speech, self.max_window_s = speech, max_window_s
        self.group, self.tokenizer = group, tokenizer
        self._without_prompt = replace(group, options=replace(group.options, prompt_tokens=()))
        self.warnings = list(warnings)
        self.records = [WindowRecord(window) for window in windows]
        self._words: list[PlacedWord] = []
        """Decoded and not yet final."""
        self._pace = SpeakingPace()
        self._previous: Word | None = None
        self._language_s: dict[str, float] = {}

    @property
    def language(self) -> str | None:
        """The language that is spoken longest in what is decoded; None without speech."""
        return max(self._language_s, key=self._language_s.__getitem__, default=None)

    @property
    def frontier_s(self) -> float:
        """All before it is decoded, seconds; infinite where all is."""
        return min((r.start for r in self.records if not r.done), default=math.inf)

    @property
    def is_done(self) -> bool:
        """Whether all windows are decoded."""
        return self.frontier_s == math.inf

    def owns(self, request: DecodeRequest) -> bool:
        """Whether a request is one of its own."""
        return request.group in (self.group, self._without_prompt)

    def requests(self) -> list[DecodeRequest]:
        """The windows that are to be decoded at first."""
        return [self._request(n, fallback=True) for n in range(len(self.records))]

    def skip(self, n_kept: int = 0) -> None:
        """Decode no windows but the first ones."""
        for record in self.records[n_kept:]:
            record.done = True

    def language_requests(self) -> list[DecodeRequest]:
        """The first window, for its language alone; no other is decoded."""
        self.skip(1)
        self.group.options = replace(self.group.options, max_tokens=1)
        return [self._request(0, fallback=False)] if self.records else []

    def on_language(self, result: DecodeResult | MultilingualWindow) -> None:
        """Take in the language of a window of `language_requests`; of two, the first."""
        self.skip()
        index = result.request.index
        language = (
            result.language if isinstance(result, DecodeResult) else self.group.languages[index]
        )
        self._language_s[language] = result.request.duration_s

    def on_result(self, result: DecodeResult | MultilingualWindow) -> list[DecodeRequest]:
        """Take in what became of a window; windows that are to be decoded because of it."""
        record = self.records[result.request.index]
        record.done = True
        if isinstance(result, MultilingualWindow):
            fallback = result.request.fallback
            return self._split(record, record.pass_number, record.is_split, fallback)
        if self._echoes_prompt(record, result):
            again = replace(record, prompted=False, done=False)
            return [self._add(again, result.request.fallback)]
        decision = decide(
            result.quality,
            is_second_pass=record.pass_number > 0,
            is_split=record.is_split,
            duration_s=record.window.duration_s,
        )
        if decision is Decision.KEEP:
            return self._keep(record, result)
        if decision is Decision.SPLIT:
            return self._split(record, pass_number=1, is_split=True, fallback=True)
        if decision is Decision.DROP_UNCLEAR and self.tokenizer.decode(result.tokens).strip():
            self._warn(
                "what may be speech in the window at {:.1f} s was too unclear to write down", record
            )
        return []

    def take_final(self) -> list[Segment]:
        """The segments that have become final since the last call, in order of time.

        A segment is final when no unfinished window begins before the word that follows it: its
        words and times will not change any more. What a second pass found may lie within a segment
        of the first, which is then split around it.
        """
        frontier = self.frontier_s
        self._words.sort(key=lambda placed: placed[:3])
        known = itertools.takewhile(lambda placed: placed.start < frontier, self._words)
        runs = [list(run) for _, run in itertools.groupby(known, key=lambda p: id(p.segment))]
        # The last run may go on, and its last word's time depends on the word after it.
        final = runs if frontier == math.inf else runs[:-1]
        del self._words[: sum(len(run) for run in final)]
        following = [run[0].word for run in runs[1:]] + [None]
        return [self._corrected(run, after) for run, after in zip(final, following, strict=False)]

    def _corrected(self, run: Sequence[PlacedWord], following: Word | None) -> Segment:
        """A segment with its words' final times."""
        words = correct_times(
            [placed.word for placed in run],
            self.speech.segments,
            self._pace,
            previous=self._previous,
            following=following,
        )
        self._previous = words[-1]
        return replace(run[0].segment, words=tuple(words))

    def _echoes_prompt(self, record: WindowRecord, result: DecodeResult) -> bool:
        """Whether the text is the prompt's: without it the window says what is heard."""
        prompt = self.group.options.prompt_tokens
        if not prompt or not record.prompted:
            return False
        text, prompt_text = (self.tokenizer.decode(part) for part in (result.tokens, prompt))
        return echoes_prompt(text, prompt_text)

    def _keep(self, record: WindowRecord, result: DecodeResult) -> list[DecodeRequest]:
        """Take the text of a window; requests for the speech that it leaves uncovered."""
        if result.quality.repeats_itself:
            self._warn("a text that repeated itself was cut in the window at {:.1f} s", record)
        written = [
            [_to_recording_time(word, record.window) for word in words]
            for words in timed_words(result, self.tokenizer)
        ]
        segments = [
            Segment(tuple(words), result.language, result.scores)
            for words in map(without_guesses, written)
            if words
        ]
        for segment in segments:
            seconds = self._language_s.get(segment.language, 0.0)
            self._language_s[segment.language] = seconds + segment.end - segment.start
        words = [(word, segment) for segment in segments for word in segment.words]
        self._words += [
            PlacedWord(word.start, result.request.index, n, word, segment)
            for n, (word, segment) in enumerate(words)
        ]
        return self._requeue_uncovered(record, [word for words in written for word in words])

    def _requeue_uncovered(
        self, record: WindowRecord, words: Sequence[Word]
    ) -> list[DecodeRequest]:
        """Decode speech that no word of the window covers once more, from there."""
        if record.pass_number >= MAX_EXTRA_PASSES or (record.pass_number > 0 and not words):
            return []
        covered = [
            Interval(word.start, min(word.end, word.start + MAX_WORD_COVERAGE_S)) for word in words
        ]
        gaps = subtract(record.window.spans, covered, MIN_GAP_S)
        return [
            # At higher temperatures a second of breath or murmur becomes a hundred tokens, which
            # are then dropped.
            self._add(WindowRecord(window, record.pass_number + 1), fallback=False)
            for window in pack_windows(gaps, self.speech.probabilities, self.max_window_s)
        ]

    def _split(
        self, record: WindowRecord, pass_number: int, is_split: bool, fallback: bool
    ) -> list[DecodeRequest]:
        """Decode less at a time: noise or a second language may have spoiled the whole."""
        window = record.window
        halves = pack_windows(
            window.spans, self.speech.probabilities, window.duration_s / 2, math.inf
        )
        return [self._add(WindowRecord(half, pass_number, is_split), fallback) for half in halves]

    def _add(self, record: WindowRecord, fallback: bool) -> DecodeRequest:
        self.records.append(record)
        return self._request(len(self.records) - 1, fallback)

    def _request(self, index: int, fallback: bool) -> DecodeRequest:
        record = self.records[index]
        return DecodeRequest(
            group=self.group if record.prompted else self._without_prompt,
            index=index,
            start_s=record.start,
            slices=record.window.slices(self.speech.waveform),
            fallback=fallback,
        )

    def _warn(self, sentence: str, record: WindowRecord) -> None:
        self.warnings.append(sentence.format(record.start))


def _to_recording_time(word: Word, window: Window) -> Word:
    start = window.to_recording_time(word.start)
    end = max(start, window.to_recording_time(word.end, is_end=True))
    return replace(word, start=start, end=end)

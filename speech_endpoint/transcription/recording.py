"""One recording's windows: results in; new requests and final segments out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from speech_endpoint.audio.windows import Window, pack_windows
from speech_endpoint.intervals import Interval, subtract
from speech_endpoint.transcript import Segment, Waveform, Word
from speech_endpoint.transcription.word_timing import SpeakingPace, correct_times
from speech_endpoint.whisper.alignment import timed_words
from speech_endpoint.whisper.fallback import Decision, decide
from speech_endpoint.whisper.sequence import (
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.tokenizer import Tokenizer

# Speech that no word covers is decoded again from there if it is as long as this; so often.
MIN_GAP_S = 1.0
MAX_PASSES = 2
# A word is taken to cover no more than this, so that one stretched over a lost sentence does not
# hide it.
MAX_WORD_COVERAGE_S = 1.0


@dataclass(frozen=True)
class Speech:
    """A recording, and where there is speech in it."""

    waveform: Waveform
    probabilities: npt.NDArray[np.float32]
    """Of speech, in each frame of voice activity detection."""
    voiced: Sequence[Interval]
    """Speech segments, in order."""


@dataclass
class WindowTask:
    """A window of the recording, waiting or done."""

    window: Window
    pass_number: int = 0
    """0: the recording's speech; 1 and more: what earlier passes left uncovered."""
    is_split: bool = False
    """Part of a window whose text was of low confidence."""
    segments: list[Segment] | None = None
    """Of the recording's time, not corrected; None until the window is done."""

    @property
    def start(self) -> float:
        return self.window.spans[0].start


class RecordingDecoder:
    """Keeps a recording's worklist, and puts its segments together in order of time."""

    def __init__(
        self,
        speech: Speech,
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
        self.warnings = list(warnings)
        self.tasks = [WindowTask(window) for window in windows]
        self._words: list[tuple[float, int, int, Word, Segment]] = []
        """Decoded and not yet final: start, task, place in it, the word, its segment."""
        self._pace = SpeakingPace()
        self._previous: Word | None = None

    def requests(self) -> list[DecodeRequest]:
        """The windows that are to be decoded at first."""
        return [self._request(n, fallback=True) for n in range(len(self.tasks))]

    def on_result(self, result: DecodeResult | MultilingualWindow) -> list[DecodeRequest]:
        """Take in what became of a window; windows that are to be decoded because of it."""
        number = result.request.index
        task = self.tasks[number]
        if isinstance(result, MultilingualWindow):
            task.segments = []
            return self._split(
                task, task.pass_number, is_split=task.is_split, fallback=result.request.fallback
            )
        decision = decide(
            result.quality,
            is_second_pass=task.pass_number > 0,
            is_split=task.is_split,
            duration_s=task.window.duration_s,
        )
        task.segments = []
        if decision is Decision.KEEP:
            return self._keep(number, result)
        if decision is Decision.SPLIT:
            return self._split(task, 1, is_split=True, fallback=True)
        if decision is Decision.DROP_UNCLEAR and self.tokenizer.decode(result.tokens).strip():
            self._warn(
                "what may be speech in the window at {:.1f} s was too unclear to write down", task
            )
        return []

    def take_final(self) -> list[Segment]:
        """The segments that have become final since the last call, in order of time.

        A segment is final when no unfinished window begins before the word that follows it: its
        words and times will not change any more. What a second pass found may lie within a segment
        of the first, which is then split around it.
        """
        frontier = min((t.start for t in self.tasks if t.segments is None), default=math.inf)
        self._words.sort(key=lambda placed: placed[:3])
        known = itertools.takewhile(lambda placed: placed[0] < frontier, self._words)
        runs = [list(run) for _, run in itertools.groupby(known, key=lambda placed: id(placed[4]))]
        # The last run may go on, and its last word's time depends on the word after it.
        n_final = len(runs) if frontier == math.inf else len(runs) - 1
        final = []
        for n in range(max(0, n_final)):
            following = runs[n + 1][0][3] if n + 1 < len(runs) else None
            words = correct_times(
                [placed[3] for placed in runs[n]],
                self.speech.voiced,
                self._pace,
                previous=self._previous,
                following=following,
            )
            self._previous = words[-1]
            final.append(replace(runs[n][0][4], words=tuple(words)))
        del self._words[: sum(len(run) for run in runs[: max(0, n_final)])]
        return final

    def _keep(self, number: int, result: DecodeResult) -> list[DecodeRequest]:
        task = self.tasks[number]
        if result.quality.repeats_itself:
            self._warn("a text that repeated itself was cut in the window at {:.1f} s", task)
        task.segments = [
            Segment(
                tuple(_to_recording_time(word, task.window) for word in words),
                result.language,
                result.scores,
            )
            for words in timed_words(result, self.tokenizer)
        ]
        placed = [(word, segment) for segment in task.segments for word in segment.words]
        self._words += [
            (word.start, number, n, word, segment) for n, (word, segment) in enumerate(placed)
        ]
        return self._requeue_uncovered(task, task.segments)

    def _requeue_uncovered(
        self, task: WindowTask, segments: Sequence[Segment]
    ) -> list[DecodeRequest]:
        """Decode speech that no word of the window covers once more, from there."""
        if task.pass_number >= MAX_PASSES or (task.pass_number > 0 and not segments):
            return []
        covered = [
            Interval(word.start, min(word.end, word.start + MAX_WORD_COVERAGE_S))
            for segment in segments
            for word in segment.words
        ]
        gaps = subtract(task.window.spans, covered, MIN_GAP_S)
        return [
            # At higher temperatures a second of breath or murmur becomes a hundred tokens, which
            # are then dropped.
            self._add(WindowTask(window, task.pass_number + 1), fallback=False)
            for window in pack_windows(gaps, self.speech.probabilities, self.max_window_s)
        ]

    def _split(
        self, task: WindowTask, pass_number: int, *, is_split: bool, fallback: bool
    ) -> list[DecodeRequest]:
        """Decode less at a time: noise or a second language may have spoiled the whole."""
        halves = pack_windows(
            task.window.spans, self.speech.probabilities, task.window.duration_s / 2, math.inf
        )
        return [self._add(WindowTask(half, pass_number, is_split), fallback) for half in halves]

    def _add(self, task: WindowTask, fallback: bool) -> DecodeRequest:
        self.tasks.append(task)
        return self._request(len(self.tasks) - 1, fallback)

    def _request(self, number: int, fallback: bool) -> DecodeRequest:
        task = self.tasks[number]
        return DecodeRequest(
            group=self.group,
            index=number,
            start_s=task.start,
            slices=task.window.slices(self.speech.waveform),
            fallback=fallback,
        )

    def _warn(self, sentence: str, task: WindowTask) -> None:
        self.warnings.append(sentence.format(task.start))


def _to_recording_time(word: Word, window: Window) -> Word:
    start = window.to_recording_time(word.start)
    end = max(start, window.to_recording_time(word.end, is_end=True))
    return replace(word, start=start, end=end)

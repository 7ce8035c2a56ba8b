"""Batched decoding: rows are slots, and a finished window's slot is taken by the next that waits.

So the batch stays full, memory does not grow with the audio, and a window that is decoded twice holds up no other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import torch

from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.whisper.features import WINDOW_SAMPLES, LogMel
from speech_endpoint.whisper.logit_rules import DecodingRules, Sampling, allowed_after
from speech_endpoint.whisper.model import Decoder, DecoderState, Encoder
from speech_endpoint.whisper.sequence import Hypothesis, Job, is_doubtful, loop_start
from speech_endpoint.whisper.speculation import Drafter, DraftingState, DraftLength
from speech_endpoint.whisper.tokenizer import Vocabulary

TEMPERATURES = (0.0, 0.4, 0.8)
# Windows encoded together: more gain nothing on a CPU and cost memory.
ENCODER_BATCH = 4
# A language detected with less certainty gives way to the one heard most so far.
LANGUAGE_CERTAINTY = 0.8
# Windows detected with less certainty than the first may hold two languages: so they do if parts of them are in
# different ones, each with the second.
ONE_LANGUAGE_CERTAINTY, PART_CERTAINTY = 0.98, 0.9
PART_S = 5.0


@dataclass
class DecodingStatistics:
    """What a run of the loop did."""

    steps: int = 0
    row_steps: int = 0
    """Steps times the rows in them."""
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    encoder_s: float = 0.0
    retries: int = 0

    def add(self, other: DecodingStatistics) -> None:
        """Count another run's figures in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Row:
    """A window being decoded."""

    job: Job
    language: str
    prompt: list[int]
    no_speech_probability: float
    written: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    attempt: int = 0
    looped: bool = False
    mixed: bool = False
    """The window holds two languages: it is handed back before its first step."""
    best: Hypothesis | None = None
    sampling: Sampling | None = None

    @property
    def temperature(self) -> float:
        return TEMPERATURES[self.attempt]

    def begin_again(self) -> None:
        """Decode the window anew, at the next temperature; seeded, so that a request gives the same answer twice."""
        self.attempt += 1
        self.written, self.log_probabilities, self.looped = [], [], False
        self.sampling = Sampling(self.temperature, torch.Generator().manual_seed(self.attempt))


class DecodingLoop:
    """One Whisper, ready to decode windows; `run` is the way in."""

    def __init__(
        self, log_mel: LogMel, encoder: Encoder, decoder: Decoder, vocabulary: Vocabulary
    ) -> None:
        self.log_mel, self.encoder, self.decoder, self.vocabulary = (
            log_mel,
            encoder,
            decoder,
            vocabulary,
        )
        self.rules = DecodingRules(vocabulary, decoder.device)

    @torch.inference_mode()
    def run(
        self,
        queue: deque[Job],
        batch_size: int,
        drafter: Drafter | None = None,
        statistics: DecodingStatistics | None = None,
    ) -> Iterator[Hypothesis]:
        """Decode every job of `queue`, which may grow meanwhile; yields in the order in which they finish."""
        if queue:
            state = self.decoder.new_state(min(batch_size, len(queue)))
            yield from DecodingBatch(self, state, drafter, statistics or DecodingStatistics()).run(
                queue
            )


class DecodingBatch:
    """The slots of one run and the windows in them."""

    def __init__(
        self,
        loop: DecodingLoop,
        state: DecoderState,
        drafter: Drafter | None,
        statistics: DecodingStatistics,
    ) -> None:
        self.loop, self.state, self.statistics = loop, state, statistics
        self.rows: list[Row] = []
        self.drafting: DraftingState | None = drafter.start(state.slots) if drafter else None
        self.draft_length = DraftLength()
        self.language_weights: dict[str, float] = {}

    def run(self, queue: deque[Job]) -> Iterator[Hypothesis]:
        while queue or self.rows:
            yield from self._admit(queue)
            if self.rows:
                self._step()
            for row in reversed(range(len(self.rows))):
                if self._is_finished(self.rows[row]):
                    hypothesis = self._finish(row)
                    if hypothesis is not None:
                        yield hypothesis

    # Taking windows in

    def _admit(self, queue: deque[Job]) -> Iterator[Hypothesis]:
        """Fill the free slots; windows in two languages are handed back, and their slots are free again."""
        while queue and len(self.rows) < self.state.slots:
            free = min(self.state.slots - len(self.rows), ENCODER_BATCH)
            jobs = [queue.popleft()]
            # One call reads the prompts of all, so they must be of one length.
            while queue and len(jobs) < free and len(queue[0].previous) == len(jobs[0].previous):
                jobs.append(queue.popleft())
            self._take(jobs)
            for row in reversed(range(len(self.rows))):
                if self.rows[row].mixed:
                    job = self.rows[row].job
                    self._free(row)
                    yield Hypothesis.of_two_languages(job)

    def _take(self, jobs: list[Job]) -> None:
        loop, slot = self.loop, len(self.rows)
        started = time.perf_counter()
        log_mel = loop.log_mel([job.waveform() for job in jobs])
        audio = loop.encoder(log_mel)
        loop.decoder.attach_audio(self.state, slot, audio)
        seconds = time.perf_counter() - started
        self.statistics.encoder_s += seconds
        self.rows += self._read_prompts(jobs, slot)
        if self.drafting:
            self.draft_length.expects_listening(
                seconds / len(jobs) * self.drafting.drafter.encoder_share
            )
            self.drafting.admit(jobs, [row.language for row in self.rows[slot:]], log_mel, audio)

    def _read_prompts(self, jobs: list[Job], slot: int) -> list[Row]:
        vocabulary, decoder = self.loop.vocabulary, self.loop.decoder
        state = self.state.rows(slot, slot + len(jobs))
        heads = [
            ([vocabulary.previous, *job.previous] if job.previous else []) + [vocabulary.start]
            for job in jobs
        ]
        places = torch.arange(len(heads[0]), device=decoder.device).expand(len(jobs), -1)
        logits = decoder.step(
            torch.tensor(heads, device=decoder.device), places, state, len(heads[0]) - 1
        )[:, 0]
        silence = [0.0] * len(jobs)
        if vocabulary.no_speech is not None:
            silence = torch.softmax(logits, dim=-1)[:, vocabulary.no_speech].tolist()
        languages = self._languages(jobs, logits)
        rows = [
            Row(
                job,
                language,
                vocabulary.prompt(language, job.task, job.previous),
                quiet,
                mixed=mixed,
            )
            for job, (language, mixed), quiet in zip(jobs, languages, silence, strict=True)
        ]
        middle = [row.prompt[len(head) : -1] for row, head in zip(rows, heads, strict=True)]
        if middle[0]:
            places = torch.arange(len(middle[0]), device=decoder.device).expand(
                len(jobs), -1
            ) + len(heads[0])
            decoder.step(torch.tensor(middle, device=decoder.device), places, state, len(middle[0]))
        return rows

    def _languages(self, jobs: list[Job], logits: torch.Tensor) -> list[tuple[str, bool]]:
        """Each job's language, its own or detected, and whether it holds another one too.

        A doubtful language is taken to be the one heard most so far.
        """
        if not self.loop.vocabulary.multilingual:
            return [("en", False)] * len(jobs)
        codes = list(self.loop.vocabulary.languages)
        weights = self._language_weights(logits)
        certainties, likeliest = (found.tolist() for found in weights.max(dim=-1))
        mixed = [
            job.language is None
            and certainty < ONE_LANGUAGE_CERTAINTY
            and self._is_mixed(job, slot)
            for slot, (job, certainty) in enumerate(
                zip(jobs, certainties, strict=True), start=len(self.rows)
            )
        ]
        for job, probabilities, is_mixed in zip(jobs, weights, mixed, strict=True):
            if job.language is None and not is_mixed:
                for code, p in zip(codes, probabilities.tolist(), strict=True):
                    self.language_weights[code] = (
                        self.language_weights.get(code, 0.0) + p * job.samples
                    )
        usual = max(self.language_weights, key=self.language_weights.__getitem__, default="en")
        detected = [
            codes[best] if certainty >= LANGUAGE_CERTAINTY else usual
            for certainty, best in zip(certainties, likeliest, strict=True)
        ]
        return [
            (job.language or own, is_mixed)
            for job, own, is_mixed in zip(jobs, detected, mixed, strict=True)
        ]

    def _language_weights(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits[:, list(self.loop.vocabulary.languages.values())], dim=-1)

    def _is_mixed(self, job: Job, slot: int) -> bool:
        """Whether parts of the window in `slot` are certainly in different languages."""
        decoder = self.loop.decoder
        frames = min(decoder.audio_frames, job.samples * decoder.audio_frames // WINDOW_SAMPLES)
        parts = round(job.samples / SAMPLE_RATE_HZ / PART_S)
        if parts < 2:
            return False
        start = torch.full((parts, 1), self.loop.vocabulary.start, device=decoder.device)
        logits = decoder.step(
            start, torch.zeros_like(start), decoder.parts_of(self.state, slot, frames, parts)
        )[:, 0]
        certainty, best = self._language_weights(logits).max(dim=-1)
        return len(best[certainty >= PART_CERTAINTY].unique()) > 1

    # Decoding

    def _step(self) -> None:
        drafts, draft_s = self._draft()
        width = 1 + max(len(draft) for draft in drafts)
        started = time.perf_counter()
        logits = self._decode(drafts, width)
        rules = [
            allowed_after([*row.written, *draft[:j]], self.loop.vocabulary)
            for row, draft in zip(self.rows, drafts, strict=True)
            for j in range(width)
        ]
        # One draw a row: columns beyond the first only fill up beside rows that have a draft.
        samplings = [row.sampling if j == 0 else None for row in self.rows for j in range(width)]
        choice = self.loop.rules.choose(logits.flatten(0, 1), rules, samplings)
        tokens = choice.tokens.view(len(self.rows), width).tolist()
        log_probabilities = choice.log_probabilities.view(len(self.rows), width).tolist()
        accepted = offered = 0
        for row, draft, chosen, scores in zip(
            self.rows, drafts, tokens, log_probabilities, strict=True
        ):
            agreed = _agreement(draft, chosen)
            accepted, offered = accepted + agreed, offered + min(len(draft), agreed + 1)
            self._write(row, chosen[: agreed + 1], scores[: agreed + 1])
        self._learn(width - 1, accepted, offered, draft_s, time.perf_counter() - started)

    def _draft(self) -> tuple[list[list[int]], float]:
        if (
            self.drafting is None
            or self.draft_length.length == 0
            or self.draft_length.wants_plain_step()
        ):
            return [[] for _ in self.rows], 0.0
        drafted = self.rows[: self.draft_length.rows(len(self.rows))]
        started = time.perf_counter()
        heard = self.drafting.listen(len(drafted))
        listened = time.perf_counter()
        self.draft_length.saw_listening(heard, listened - started)
        room = min(self._limit(row) - len(row.written) for row in self.rows) - 1
        drafts = self.drafting.draft(
            [row.written for row in drafted], max(0, min(self.draft_length.length, room))
        )
        drafts += [[] for _ in self.rows[len(drafted) :]]
        for row, draft in zip(self.rows, drafts, strict=True):
            if row.temperature > 0:
                draft.clear()
        seconds = time.perf_counter() - listened
        if self.loop.decoder.device.type == "cpu":
            # What a trial with some rows will cost with all: there, drafting takes its time row by row.
            seconds *= len(self.rows) / len(drafted)
        return drafts, seconds

    def _decode(self, drafts: Sequence[Sequence[int]], width: int) -> torch.Tensor:
        end, device = self.loop.vocabulary.end, self.loop.decoder.device
        tokens, places = [], []
        for row, draft in zip(self.rows, drafts, strict=True):
            known = [row.written[-1] if row.written else row.prompt[-1], *draft]
            tokens.append(known + [end] * (width - len(known)))
            first = len(row.prompt) + len(row.written) - 1
            places.append(
                [min(first + j, self.loop.decoder.max_positions - 1) for j in range(width)]
            )
        self.statistics.steps += 1
        self.statistics.row_steps += len(self.rows)
        return self.loop.decoder.step(
            torch.tensor(tokens, device=device), torch.tensor(places, device=device), self.state
        )

    def _write(self, row: Row, tokens: Sequence[int], log_probabilities: Sequence[float]) -> None:
        for token, score in zip(tokens, log_probabilities, strict=True):
            row.written.append(token)
            row.log_probabilities.append(score)
            self.statistics.tokens += 1
            if token == self.loop.vocabulary.end or len(row.written) >= self._limit(row):
                return
            if len(row.written) % 8 == 0:
                row.looped = (
                    loop_start([t for t in row.written if t < self.loop.vocabulary.end]) is not None
                )

    def _learn(
        self, drafted: int, accepted: int, offered: int, draft_s: float, verify_s: float
    ) -> None:
        self.statistics.drafted += offered
        self.statistics.accepted += accepted
        if self.drafting is None:
            return
        if drafted:
            self.draft_length.saw(len(self.rows), drafted, accepted, offered, draft_s, verify_s)
        else:
            self.draft_length.saw_plain(verify_s)

    # Letting windows go

    def _limit(self, row: Row) -> int:
        return self.loop.decoder.max_positions - len(row.prompt)

    def _is_finished(self, row: Row) -> bool:
        if not row.written:
            return False
        return (
            row.looped
            or row.written[-1] == self.loop.vocabulary.end
            or len(row.written) >= self._limit(row)
        )

    def _finish(self, index: int) -> Hypothesis | None:
        """The hypothesis of a row that is done, and its slot to the last row; or None, and the row begins again."""
        row = self.rows[index]
        hypothesis = self._hypothesis(index)
        if row.best is None or (not hypothesis.looped, hypothesis.mean_log_probability) > (
            not row.best.looped,
            row.best.mean_log_probability,
        ):
            row.best = hypothesis
        may_retry = row.job.retries and row.attempt + 1 < len(TEMPERATURES)
        if may_retry and is_doubtful(hypothesis, self.loop.vocabulary.text(hypothesis.tokens)):
            row.begin_again()
            self.statistics.retries += 1
            if self.drafting:
                self.drafting.rewind(index)
            return None
        self._free(index)
        return row.best

    def _hypothesis(self, index: int) -> Hypothesis:
        row, end = self.rows[index], self.loop.vocabulary.end
        written = row.written[:-1] if row.written[-1] == end else row.written
        if row.looped:
            written = _cut_loop(written, end)
        alignment = None
        if self.loop.decoder.alignment_heads:
            first = len(row.prompt) - 1
            alignment = self.loop.decoder.alignment(
                self.state, index, first, first + len(written) + 1
            ).cpu()
        return Hypothesis(
            row.job,
            row.language,
            tuple(written),
            tuple(row.log_probabilities[: len(written)]),
            row.no_speech_probability,
            row.temperature,
            row.looped,
            alignment,
        )

    def _free(self, index: int) -> None:
        last = len(self.rows) - 1
        if index != last:
            row = self.rows[last]
            self.state.move(last, index, len(row.prompt) + len(row.written))
            self.rows[index] = row
        del self.rows[last]
        if self.drafting:
            self.drafting.remove(index)


def _agreement(draft: Sequence[int], chosen: Sequence[int]) -> int:
    """How many tokens of the draft the model would have written itself."""
    for n, token in enumerate(draft):
        if chosen[n] != token:
            return n
    return len(draft)


def _cut_loop(written: Sequence[int], end: int) -> list[int]:
    """The tokens up to where the text begins to repeat itself."""
    places = [n for n, token in enumerate(written) if token < end]
    start = loop_start([written[n] for n in places])
    return list(written if start is None else written[: places[start]])

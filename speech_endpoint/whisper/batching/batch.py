"""Windows in their slots: admission, one decoder step, completion."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

import torch

from speech_endpoint.whisper.batching.batch_state import BatchState
from speech_endpoint.whisper.batching.captured import CapturedStepper, NotRecorded
from speech_endpoint.whisper.batching.draft_length import DraftPolicy
from speech_endpoint.whisper.batching.prefill import Prefill
from speech_endpoint.whisper.batching.recorded_drafts import RecordedDrafts
from speech_endpoint.whisper.batching.sequence import (
    ActiveSequence,
    Caller,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    MultilingualWindow,
)
from speech_endpoint.whisper.batching.speculation import DraftModel, Speculation
from speech_endpoint.whisper.batching.stepping import DirectStepper, Report, Stepper
from speech_endpoint.whisper.model.whisper import WhisperModel

logger = logging.getLogger(__name__)


class Batch:
    """Windows in their slots, and what works on them: given up as a whole when memory runs out."""

    def __init__(
        self,
        model: WhisperModel,
        n_slots: int,
        draft: DraftModel | None,
        draft_policy: DraftPolicy,
        totals: DecodingStatistics,
    ) -> None:
        """Arguments as in `Engine`; `totals` are counted on, for all callers together."""
        self.model, self.totals = model, totals
        self.cache = model.decoder.new_cache(n_slots)
        self.prefill = Prefill(model, self.cache)
        self.state = BatchState(model.rules, n_slots, model.decoder.max_positions)
        self.direct = DirectStepper(model, self.cache, self.state)
        self.stepper: Stepper = self.direct
        self.speculation: Speculation | None = None
        """Drafts chosen on the host, by what the step before has written."""
        self.drafts: RecordedDrafts | None = None
        """Drafts that are part of a recorded step."""
        recorder = model.backend.recorder()
        if recorder is not None:
            if draft is not None and draft.same_text:
                self.drafts = RecordedDrafts(draft, self.state, n_slots, draft_policy)
            self.stepper = CapturedStepper(model, self.cache, self.state, recorder, self.drafts)
        elif draft is not None:
            self.speculation = Speculation(draft, n_slots, draft_policy)
        self.sequences: list[ActiveSequence] = []
        """In the first slots, in order."""

    @property
    def n_free(self) -> int:
        return self.cache.n_slots - len(self.sequences)

    def admit(self, requests: Sequence[DecodeRequest]) -> list[MultilingualWindow]:
        """Fill free slots with windows; those of two languages are handed back."""
        first = len(self.sequences)
        prefilled = self.prefill(requests, first)
        for request in requests:
            request.group.statistics.encoder_s += prefilled.encoder_s / len(requests)
        self.totals.encoder_s += prefilled.encoder_s
        for slot, sequence in enumerate(prefilled.sequences, start=first):
            self._begin(slot, sequence)
        self.sequences += prefilled.sequences
        if self.speculation:
            self.speculation.admit(prefilled)
        if self.drafts:
            self.drafts.admit(prefilled)
        handed_back = [n for n in range(len(requests)) if prefilled.multilingual[n]]
        for n in reversed(handed_back):
            self._release(first + n)
        return [MultilingualWindow(requests[n]) for n in reversed(handed_back)]

    def advance(self) -> None:
        """One step of all sequences."""
        if self.speculation:
            self._speculate(self.speculation)
        elif any(sequence.sampler for sequence in self.sequences):
            # What was issued before lengthens the texts, and so what the next step looks at.
            self._write(self.stepper.drain())
            self._write(self.direct.advance(self.sequences, self._n_positions()))
        else:
            compared = self._write(self._issue())
            if self.drafts:
                self.drafts.lengths.record_step(*compared)

    def _speculate(self, speculation: Speculation) -> None:
        proposal = speculation.propose(self.sequences)
        started = time.perf_counter()
        report = self.direct.advance_drafted(self.sequences, self._n_positions(), proposal.drafts)
        compared = self._write(report)
        speculation.record(proposal, *compared, time.perf_counter() - started)

    def _n_positions(self) -> int:
        """Of the longest text."""
        return max(sequence.n_positions for sequence in self.sequences)

    def _issue(self) -> Report | None:
        try:
            return self.stepper.advance(self.sequences, self._n_positions())
        except NotRecorded as error:
            logger.warning("steps are issued one by one: %s", error)
            report, self.stepper, self.drafts = self.stepper.drain(), self.direct, None
            return report

    def _write(self, report: Report | None) -> tuple[int, int]:
        """Append what a step says; how many draft tokens it compared, and accepted."""
        total_proposed = total_accepted = 0
        if report is None:
            return 0, 0
        self.totals.steps += 1
        groups = set()
        for n, (sequence, step) in enumerate(zip(report.sequences, report.accepted, strict=True)):
            began_anew = sequence.temperature_index != report.temperatures[n]
            if sequence.ended or began_anew:
                continue
            # Up to the first rejected one, or to the end of text.
            compared = max(len(step.tokens), step.n_accepted)
            proposed = min(report.n_drafted[n], compared)
            accepted = min(report.n_drafted[n], step.n_accepted)
            n_tokens = sequence.append(
                step.tokens, step.log_probabilities, self.model.tokenizer.eot
            )
            for statistics in (sequence.group.statistics, self.totals):
                statistics.row_steps += 1
                statistics.proposed += proposed
                statistics.accepted += accepted
                statistics.tokens += n_tokens
            total_proposed += proposed
            total_accepted += accepted
            groups.add(sequence.group)
        for group in groups:
            group.statistics.steps += 1
        return total_proposed, total_accepted

    def finished(self) -> Iterator[DecodeResult]:
        """Hand out, one by one, what is done, and free its slot; text that is not to be trusted is
        decoded again at the next temperature."""
        for row in reversed(range(len(self.sequences))):
            sequence = self.sequences[row]
            if not sequence.ended or self._goes_on(row):
                continue
            result = self._result(row)
            if sequence.best is None or result.quality.is_better_than(sequence.best.quality):
                sequence.best = result
            if result.quality.needs_fallback and sequence.may_fall_back:
                self._restart(row)
            else:
                yield sequence.best
                self._release(row)

    def cancel(self, caller: Caller) -> None:
        """Free a caller's slots."""
        for row in reversed(range(len(self.sequences))):
            if self.sequences[row].group.caller is caller:
                self._release(row)

    def _begin(self, slot: int, sequence: ActiveSequence) -> None:
        self.state.begin(slot, sequence.initial_tokens, sequence.max_tokens)

    def _restart(self, row: int) -> None:
        sequence = self.sequences[row]
        sequence.restart()
        self._begin(row, sequence)
        sequence.group.statistics.fallbacks += 1
        self.totals.fallbacks += 1
        if self.speculation:
            self.speculation.restart(sequence)

    def _goes_on(self, row: int) -> bool:
        """Whether a text that ended for its repetition is spoken, and is written on."""
        sequence = self.sequences[row]
        eot = self.model.tokenizer.eot
        return sequence.may_go_on(eot) and sequence.go_on(self._alignment(row), eot)

    def _result(self, row: int) -> DecodeResult:
        model = self.model
        return self.sequences[row].result(
            self._alignment(row), model.tokenizer, model.backend.later
        )

    def _alignment(self, row: int) -> torch.Tensor | None:
        """Where the heads looked when each token of a sequence, and the next, was written.

        An end of text is no token of it.
        """
        if not self.model.decoder.alignment_heads:
            return None
        sequence = self.sequences[row]
        first = len(sequence.initial_tokens) - 1
        last = first + len(sequence.written(self.model.tokenizer.eot)) + 1
        return self.model.decoder.alignment(self.cache, row, first, last)

    def _release(self, row: int) -> None:
        """Free a slot; the last sequence moves to it, so that the used slots come first."""
        sequence = self.sequences[row]
        last = self.sequences.pop()
        sequence.ended = True
        if row < len(self.sequences):
            n_positions = last.n_positions + self.stepper.n_unseen
            self.cache.move(len(self.sequences), row, n_positions)
            self.state.move(len(self.sequences), row)
            if self.drafts:
                self.drafts.move(len(self.sequences), row, last)
            self.sequences[row] = last
        # A step that is under way, or has more rows than there are windows, leaves it alone.
        self.state.stop(len(self.sequences))
        if self.speculation:
            self.speculation.release(sequence)
        if self.drafts:
            self.drafts.forget(sequence)

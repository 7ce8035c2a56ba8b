"""Speculative decoding (Leviathan et al. 2022) for any batch size: a smaller Whisper guesses, the larger one checks.

The draft never changes the text: a guess counts only where the larger model would have written the same token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from speech_endpoint.whisper.backends.cpu import Precision
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.features import LogMel
from speech_endpoint.whisper.logit_rules import DecodingRules, allowed_after
from speech_endpoint.whisper.model import Decoder, DecoderState, Encoder
from speech_endpoint.whisper.sequence import Job
from speech_endpoint.whisper.tokenizer import Vocabulary, token_map

LONGEST_DRAFT = 8
# A drafter of whose text tokens fewer exist in the other vocabulary would hardly ever finish a word.
LEAST_COMMON = 0.1


class Drafter:
    """A Whisper that drafts for another, whose vocabulary may be another one."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        target: Vocabulary,
        target_checkpoint: Checkpoint,
        device: torch.device,
        precision: Precision,
    ) -> None:
        """
        Raises:
            RuntimeError: this model cannot draft for that one; the message says why.
        """
        self.vocabulary = Vocabulary(checkpoint)
        self.to_target = token_map(self.vocabulary, target)
        self.from_target = token_map(target, self.vocabulary)
        _check_pair(checkpoint, target_checkpoint, self.vocabulary, self.to_target)
        self.space = next(
            i for i, content in self.vocabulary.token_bytes.items() if content == b" "
        )
        self.decoder = Decoder(checkpoint, device, precision)
        self.rules = DecodingRules(self.vocabulary, device)
        self.encoder = self.log_mel = None
        self.encoder_share = 0.0
        """What its encoder costs, as a part of the larger model's."""
        if not _shares_encoder(checkpoint, target_checkpoint):
            self.encoder = Encoder(checkpoint, device, precision.dtype)
            self.encoder_share = _encoder_size(checkpoint) / _encoder_size(target_checkpoint)
            if checkpoint.config.num_mel_bins != target_checkpoint.config.num_mel_bins:
                self.log_mel = LogMel(checkpoint.extractor, device)

    def start(self, slots: int) -> DraftingState:
        """Memory for drafting `slots` windows at once."""
        return DraftingState(self, self.decoder.new_state(slots))

    def draft_ids(self, tokens: Sequence[int]) -> list[int]:
        """Tokens of the larger model in this one's vocabulary; a space stands for one that is missing."""
        return [self.from_target.get(token, self.space) for token in tokens]


def _check_pair(
    drafter: Checkpoint, target: Checkpoint, vocabulary: Vocabulary, common: Mapping[int, int]
) -> None:
    pair = f"ASSISTANT_MODEL {drafter.name!r} cannot draft for {target.name!r}: "
    text_tokens = vocabulary.token_bytes
    shared = sum(token in text_tokens for token in common)
    if shared < len(text_tokens) * LEAST_COMMON:
        raise RuntimeError(f"{pair}only {shared} of its {len(text_tokens)} text tokens exist there")
    rates_hz = drafter.extractor.sampling_rate, target.extractor.sampling_rate
    if rates_hz[0] != rates_hz[1]:
        raise RuntimeError(
            f"{pair}it hears audio at {rates_hz[0]} Hz, the other at {rates_hz[1]} Hz"
        )


def _shares_encoder(drafter: Checkpoint, target: Checkpoint) -> bool:
    """Whether the drafter's encoder is the target's, weight for weight (distil-whisper): then audio is encoded once."""
    names = [name for name in target.weights if name.startswith("model.encoder.")]
    return all(
        name in drafter.weights and torch.equal(drafter.weights[name], target.weights[name])
        for name in names
    )


def _encoder_size(checkpoint: Checkpoint) -> int:
    return sum(
        weight.numel()
        for name, weight in checkpoint.weights.items()
        if name.startswith("model.encoder.")
    )


@dataclass
class DraftingState:
    """A drafter at work on the rows of one decoding batch."""

    drafter: Drafter
    state: DecoderState
    prompts: list[list[int]] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    """How many of each row's tokens, prompt included, the drafter's cache holds."""
    unheard: list[torch.Tensor | None] = field(default_factory=list)
    """What the drafter has yet to listen to before it can draft for a row; a drafter that is of no use never does."""

    def admit(
        self,
        jobs: Sequence[Job],
        languages: Sequence[str],
        log_mel: torch.Tensor,
        audio: torch.Tensor,
    ) -> None:
        """Take new windows into the next free slots; `log_mel` and `audio` are the larger model's input and states."""
        if self.drafter.encoder is None:
            heard = audio
        elif self.drafter.log_mel is None:
            heard = log_mel
        else:
            heard = self.drafter.log_mel([job.waveform() for job in jobs])
        self.unheard += heard.split(1)
        vocabulary = self.drafter.vocabulary
        self.prompts += [
            vocabulary.prompt(language, job.task)
            for language, job in zip(languages, jobs, strict=True)
        ]
        self.read += [0] * len(jobs)

    def remove(self, row: int) -> None:
        """Let the last row take the place of `row`."""
        last = len(self.prompts) - 1
        if row != last:
            if self.unheard[last] is None:
                self.state.move(last, row, self.read[last])
            self.prompts[row], self.read[row] = self.prompts[last], self.read[last]
            self.unheard[row] = self.unheard[last]
        del self.prompts[last], self.read[last], self.unheard[last]

    def listen(self, rows: int) -> int:
        """Hear what the first rows hold, where that was not done yet; for how many of them it was not."""
        encoder = self.drafter.encoder
        new = [(row, heard) for row, heard in enumerate(self.unheard[:rows]) if heard is not None]
        for row, heard in new:
            self.drafter.decoder.attach_audio(
                self.state, row, heard if encoder is None else encoder(heard)
            )
            self.unheard[row] = None
        if new and self.drafter.decoder.device.type == "cuda":
            # The clock that is read next is to hold this, not the draft after it.
            torch.cuda.synchronize(self.drafter.decoder.device)
        return len(new)

    def rewind(self, row: int) -> None:
        """Forget what was read of `row`'s text: it is written anew."""
        self.read[row] = min(self.read[row], len(self.prompts[row]))

    def draft(self, written: Sequence[Sequence[int]], length: int) -> list[list[int]]:
        """Guess up to `length` tokens that follow the `written` of the first rows, in the larger model's ids.

        The drafter has to have listened to them.
        """
        own = [self.drafter.draft_ids(tokens) for tokens in written]
        drafts: list[list[int]] = [[] for _ in written]
        open_rows = [True] * len(written)
        for _ in range(length):
            for row, token in enumerate(self._next_tokens(own)):
                own[row].append(token)
                target = self.drafter.to_target.get(token)
                if target is None or not open_rows[row]:
                    open_rows[row] = False
                    continue
                drafts[row].append(target)
                open_rows[row] = token != self.drafter.vocabulary.end
            if not any(open_rows):
                break
        for row, tokens in enumerate(written):
            # What was guessed may be rejected: only what is certain counts as read.
            self.read[row] = min(self.read[row], len(self.prompts[row]) + len(tokens))
        return drafts

    def _next_tokens(self, own: Sequence[Sequence[int]]) -> list[int]:
        device = self.drafter.decoder.device
        histories = [
            [*prompt, *tokens] for prompt, tokens in zip(self.prompts[: len(own)], own, strict=True)
        ]
        # Rows that have less to read read their last tokens again, which changes nothing.
        columns = max(
            len(history) - read
            for history, read in zip(histories, self.read[: len(own)], strict=True)
        )
        places = [
            [max(0, len(history) - columns + j) for j in range(columns)] for history in histories
        ]
        tokens = [[history[p] for p in row] for history, row in zip(histories, places, strict=True)]
        logits = self.drafter.decoder.step(
            torch.tensor(tokens, device=device),
            torch.tensor(places, device=device),
            self.state,
            columns - 1,
        )
        self.read[: len(own)] = [len(history) for history in histories]
        rules = [allowed_after(tokens, self.drafter.vocabulary) for tokens in own]
        choice = self.drafter.rules.choose(logits[:, 0], rules)
        return [int(token) for token in choice.tokens.tolist()]


@dataclass
class DraftLength:
    """How many tokens to draft a step: as many as pay, by the acceptance and the times seen so far.

    After a step without, a few steps try a single token; then the length with the most tokens a second is taken, and
    drafting stops for good when that is none. A drafter that has to listen for long is not even tried.
    """

    length: int = 1
    seconds_plain: float | None = None
    _drafted: float = 0.0
    _accepted: float = 0.0
    _steps: int = 0
    _verify_extra_s: float = 0.0
    _draft_s: float = 0.0
    _listen_s: float = 0.0

    TOKENS = 100
    """About what a window holds, over which the drafter's listening to it is spread."""
    TRIAL_SHARE = 0.03
    """A trial may take so much of the time that the windows take anyway."""
    TRIAL_STEPS = 4
    TRIAL_ROWS = 1
    HOPELESS_STEPS = 2
    """After so many steps without one right guess no more are made."""

    def rows(self, rows: int) -> int:
        """For how many of the rows to draft: one, until it is known to pay."""
        return min(rows, self.TRIAL_ROWS) if self._steps < self.TRIAL_STEPS else rows

    def wants_plain_step(self) -> bool:
        """Whether a step without a draft is due, to know what it costs."""
        return self.seconds_plain is None

    def expects_listening(self, seconds: float) -> None:
        """What the drafter's listening to one window may take, as long as that is not known."""
        if self._steps == 0:
            self._listen_s = seconds

    def saw_listening(self, windows: int, seconds: float) -> None:
        if windows:
            self._listen_s = seconds / windows

    def saw_plain(self, seconds: float) -> None:
        self.seconds_plain = seconds
        if (
            self._steps == 0
            and self._listen_s * self.TRIAL_ROWS > self.TRIAL_SHARE * self.TOKENS * seconds
        ):
            self.length = 0

    def saw(
        self, rows: int, drafted: int, accepted: int, offered: int, draft_s: float, verify_s: float
    ) -> None:
        """Learn from a step: `drafted` tokens a row, of `offered` guesses that were reached `accepted` were right."""
        self._steps += 1
        keep = 0.9
        self._drafted, self._accepted = (
            self._drafted * keep + offered,
            self._accepted * keep + accepted,
        )
        self._draft_s = (
            draft_s / drafted if self._steps == 1 else 0.8 * self._draft_s + 0.2 * draft_s / drafted
        )
        if self._steps >= self.HOPELESS_STEPS and self._accepted == 0:
            self.length = 0
        else:
            assert self.seconds_plain is not None
            extra = max(0.0, verify_s - self.seconds_plain) / drafted
            self._verify_extra_s = (
                extra if self._verify_extra_s == 0 else 0.8 * self._verify_extra_s + 0.2 * extra
            )
            if self._steps >= self.TRIAL_STEPS:
                self.length = self._best_length(rows)

    def _best_length(self, rows: int) -> int:
        assert self.seconds_plain is not None
        rate = min(0.98, self._accepted / max(1.0, self._drafted))
        best, least_s = 0, self.seconds_plain / 1.03
        for n in range(1, LONGEST_DRAFT + 1):
            tokens = (1 - rate ** (n + 1)) / (1 - rate)
            step_s = self.seconds_plain + n * (self._draft_s + self._verify_extra_s)
            token_s = step_s / tokens + rows * self._listen_s / self.TOKENS
            if token_s < least_s:
                best, least_s = n, token_s
        return best

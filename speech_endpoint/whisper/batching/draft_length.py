"""How many tokens to draft: as many as pay. Pure arithmetic on times and counts; no model."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_DRAFT_TOKENS = 8
# About what a window holds, over which the cost of encoding it for the draft model is spread.
TOKENS_PER_WINDOW = 100
# Weights of earlier steps in the running counts (about ten steps) and times (about five).
COUNT_DECAY, TIME_DECAY = 0.9, 0.8
# An acceptance rate of 1 would make any draft worth its time.
MAX_ACCEPTANCE = 0.98
# A smaller gain than this is within the noise of the clock.
MIN_SPEEDUP = 1.03
# Of recorded steps: each length is a recording of its own, and takes the time of some twenty steps.
RECORDED_LENGTHS, FIRST_RECORDED_LENGTH = (2, 4, 6, 8), 4
MIN_GAIN_OF_RECORDING = 1.1
# Draft tokens that tell a rate of acceptance, and beyond which earlier ones count for half.
MIN_COMPARED, MANY_COMPARED = 16, 512
# Steps without a draft after which speech may have changed, and drafts that cost little are tried.
STEPS_BETWEEN_TRIALS = 1000


@dataclass(frozen=True, slots=True)
class DraftPolicy:
    """How to find out whether drafting pays."""

    max_probe_cost: float = 0.03
    """How much of the time that decoding takes anyway the encoding of a window for the draft model
    may take; a draft model that would take longer is not tried at all."""
    probe_steps: int = 4
    """Steps that draft a single token, for a few rows, before a length is chosen."""
    probe_rows: int = 1
    give_up_after: int = 2
    """Steps without an accepted token after which drafting stops for good."""
    fixed_length: int | None = None
    """Draft so many tokens after the probe, whatever the times are; None: as many as pay."""


DEFAULT_DRAFT_POLICY = DraftPolicy()


@dataclass
class SpeculationController:
    """Chooses the length of the drafts by the acceptance and the times seen so far.

    The first step has no draft, to know what it costs, and so has the first with more rows than
    ever before. A few steps then try a single token; from there the length with the most tokens a
    second is taken, and drafting stops for good when that is none.
    """

    policy: DraftPolicy = DEFAULT_DRAFT_POLICY
    length: int = 1
    """Tokens to draft in the next step; 0: none any more."""
    baseline_step_s: float = 0.0
    """Time of a step without a draft; 0 until there was one."""
    _baseline_rows: int = 0
    _n_steps: int = 0
    _proposed: float = 0.0
    _accepted: float = 0.0
    _draft_token_s: float = 0.0
    _verify_token_s: float = 0.0
    _encode_window_s: float = 0.0

    def needs_baseline(self, n_rows: int) -> bool:
        """Whether a step of so many rows is to have no draft, to know what it costs."""
        return n_rows > self._baseline_rows

    def n_rows(self, n_rows: int) -> int:
        """For how many of the rows to draft: a few, until it is known to pay."""
        probing = self._n_steps < self.policy.probe_steps
        return min(n_rows, self.policy.probe_rows) if probing else n_rows

    def estimate_encoding(self, window_s: float) -> None:
        """What encoding one window for the draft model may take, while that is not known."""
        if self._n_steps == 0:
            self._encode_window_s = window_s

    def record_encoding(self, n_windows: int, elapsed_s: float) -> None:
        """What encoding so many windows for the draft model took."""
        if n_windows:
            self._encode_window_s = elapsed_s / n_windows

    def record_baseline(self, step_s: float, n_rows: int) -> None:
        """What a step without a draft took, and how many rows it had."""
        self.baseline_step_s, self._baseline_rows = step_s, n_rows
        probe_s = self._encode_window_s * self.policy.probe_rows
        affordable_s = self.policy.max_probe_cost * TOKENS_PER_WINDOW * step_s
        if self._n_steps == 0 and probe_s > affordable_s:
            self.length = 0

    def record_step(
        self,
        *,
        n_rows: int,
        draft_length: int,
        proposed: int,
        accepted: int,
        draft_s: float,
        verify_s: float,
    ) -> None:
        """Learn from a step with a draft.

        Args:
            n_rows: in the step.
            draft_length: tokens that were drafted for each row.
            proposed: draft tokens that were compared: up to the first rejected one of each row.
            accepted: those of them that the target model chose too.
            draft_s: what drafting took.
            verify_s: what the step took.
        """
        self._n_steps += 1
        self._proposed = self._proposed * COUNT_DECAY + proposed
        self._accepted = self._accepted * COUNT_DECAY + accepted
        self._draft_token_s = _smoothed(
            self._draft_token_s, draft_s / draft_length, is_first=self._n_steps == 1
        )
        if self._n_steps >= self.policy.give_up_after and self._accepted == 0:
            self.length = 0
            return
        self._verify_token_s = _smoothed(
            self._verify_token_s,
            max(0.0, verify_s - self.baseline_step_s) / draft_length,
            is_first=self._verify_token_s == 0.0,
        )
        if self._n_steps >= self.policy.probe_steps:
            fixed = self.policy.fixed_length
            self.length = self._best_length(n_rows) if fixed is None else fixed

    def _best_length(self, n_rows: int) -> int:
        rate = self._accepted / max(1.0, self._proposed)
        best, least_s = 0, self.baseline_step_s / MIN_SPEEDUP
        for n in range(1, MAX_DRAFT_TOKENS + 1):
            tokens = expected_tokens(rate, n)
            step_s = self.baseline_step_s + n * (self._draft_token_s + self._verify_token_s)
            token_s = step_s / tokens + n_rows * self._encode_window_s / TOKENS_PER_WINDOW
            if token_s < least_s:
                best, least_s = n, token_s
        return best


@dataclass
class RecordedDraftLength:
    """Chooses the length of drafts that are part of a recorded step.

    What such a step takes depends on its rows and its length alone and is measured once; only the
    rate of acceptance is learnt from the steps.
    """

    policy: DraftPolicy = DEFAULT_DRAFT_POLICY
    length: int = FIRST_RECORDED_LENGTH
    """The latest that was not 0."""
    encode_window_s: float = 0.0
    """What encoding a window for the draft model takes."""
    _step_s: dict[tuple[int, int], float] = field(default_factory=dict)
    _proposed: float = 0.0
    _accepted: float = 0.0
    _n_plain: int = 0

    @property
    def learns(self) -> bool:
        """Whether times matter."""
        return self.policy.fixed_length is None

    def record_time(self, n_rows: int, length: int, step_s: float) -> None:
        """What a step of so many rows, with drafts of a length, takes; the least counts."""
        self._step_s[n_rows, length] = min(step_s, self._step_s.get((n_rows, length), step_s))

    def record_step(self, proposed: int, accepted: int) -> None:
        """Learn from a step; arguments as in `SpeculationController`."""
        self._proposed += proposed
        self._accepted += accepted
        if self._proposed > MANY_COMPARED:
            self._proposed, self._accepted = self._proposed / 2, self._accepted / 2

    def needs_baseline(self, n_rows: int) -> bool:
        """Whether the time of a step without drafts is to be measured before a length is chosen."""
        return self.learns and (n_rows, 0) not in self._step_s

    def choose(self, n_rows: int) -> int:
        """How many tokens to draft for each of the rows; 0: none."""
        if self.policy.fixed_length is not None:
            return self.policy.fixed_length
        if self._proposed < MIN_COMPARED:
            return self.length
        best = self._best_length(n_rows)
        if best:
            self.length = best
        self._n_plain = 0 if best else self._n_plain + 1
        if self._n_plain >= STEPS_BETWEEN_TRIALS and self.encode_window_s == 0:
            self._proposed = self._accepted = self._n_plain = 0
        return best

    def _best_length(self, n_rows: int) -> int:
        best = self.length
        for length in RECORDED_LENGTHS:
            known = (n_rows, length) in self._step_s
            gain = 1.0 if known else MIN_GAIN_OF_RECORDING
            if self._token_s(n_rows, length) * gain < self._token_s(n_rows, best):
                best = length
        pays = self._token_s(n_rows, best) * MIN_SPEEDUP < self._step_s[n_rows, 0]
        return best if pays else 0

    def _token_s(self, n_rows: int, length: int) -> float:
        """Of a row, the time that passes for each token of its text."""
        step_s = self._step_s[n_rows, 0] + length * self._draft_token_s(n_rows, length)
        tokens = expected_tokens(self._accepted / self._proposed, length)
        return step_s / tokens + n_rows * self.encode_window_s / TOKENS_PER_WINDOW

    def _draft_token_s(self, n_rows: int, length: int) -> float:
        """What each drafted token adds to a step: as measured, or where it was most alike."""
        added = {
            (rows, k): (step_s - self._step_s[rows, 0]) / k
            for (rows, k), step_s in self._step_s.items()
            if k and (rows, 0) in self._step_s
        }
        alike = min(added, key=lambda of: (abs(of[0] - n_rows), abs(of[1] - length)), default=None)
        return 0.0 if alike is None else max(0.0, added[alike])


def expected_tokens(rate: float, length: int) -> float:
    """That a step writes for a row, at a rate of acceptance: Leviathan et al. 2023, section 3."""
    rate = min(MAX_ACCEPTANCE, rate)
    return (1 - rate ** (length + 1)) / (1 - rate)


def _smoothed(before: float, now: float, *, is_first: bool) -> float:
    return now if is_first else TIME_DECAY * before + (1 - TIME_DECAY) * now

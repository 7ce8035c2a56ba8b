"""How many tokens to draft: as many as pay. Pure arithmetic on times and counts; no model."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DRAFT_TOKENS = 8
# About what a window holds, over which the cost of encoding it for the draft model is spread.
TOKENS_PER_WINDOW = 100
# Weights of earlier steps in the running counts (about ten steps) and times (about five).
COUNT_DECAY, TIME_DECAY = 0.9, 0.8
# An acceptance rate of 1 would make any draft worth its time.
MAX_ACCEPTANCE = 0.98
# A smaller gain than this is within the noise of the clock.
MIN_SPEEDUP = 1.03


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
    second is taken, and drafting stops for good when that is none (Leviathan et al. 2023, section
    3, give the expected number of tokens).
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
        rate = min(MAX_ACCEPTANCE, self._accepted / max(1.0, self._proposed))
        best, least_s = 0, self.baseline_step_s / MIN_SPEEDUP
        for n in range(1, MAX_DRAFT_TOKENS + 1):
            tokens = (1 - rate ** (n + 1)) / (1 - rate)
            step_s = self.baseline_step_s + n * (self._draft_token_s + self._verify_token_s)
            token_s = step_s / tokens + n_rows * self._encode_window_s / TOKENS_PER_WINDOW
            if token_s < least_s:
                best, least_s = n, token_s
        return best


def _smoothed(before: float, now: float, *, is_first: bool) -> float:
    return now if is_first else TIME_DECAY * before + (1 - TIME_DECAY) * now

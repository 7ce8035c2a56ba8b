"""Whether drafting pays is worked out from times and counts, without a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.whisper.batching.draft_length import (
    FIRST_RECORDED_LENGTH,
    MAX_DRAFT_TOKENS,
    MIN_COMPARED,
    MIN_SPEEDUP,
    RECORDED_LENGTHS,
    STEPS_BETWEEN_TRIALS,
    DraftPolicy,
    RecordedDraftLength,
    SpeculationController,
    expected_tokens,
)

pytestmark = pytest.mark.pure


def probed(*, accepted: int, draft_s: float, policy: DraftPolicy | None = None):
    """A controller after its probe: steps of 0.1 s, one token drafted in each."""
    controller = SpeculationController(policy or DraftPolicy())
    controller.record_baseline(0.1, n_rows=1)
    for _ in range(controller.policy.probe_steps):
        if controller.length:
            controller.record_step(
                n_rows=1,
                draft_length=1,
                proposed=1,
                accepted=accepted,
                draft_s=draft_s,
                verify_s=0.1,
            )
    return controller


@pytest.mark.parametrize(("encoding_s", "length"), [(0.0, 1), (0.02, 1), (0.05, 0)])
def test_a_draft_model_that_takes_long_to_encode_is_not_tried(
    encoding_s: float, length: int
) -> None:
    """A window of a hundred tokens of 8 ms: a probe may take 3 % of that."""
    controller = SpeculationController()
    controller.estimate_encoding(encoding_s)
    controller.record_baseline(0.008, n_rows=1)
    assert controller.length == length


def test_the_first_step_has_no_draft() -> None:
    controller = SpeculationController()
    assert controller.needs_baseline(1)
    controller.record_baseline(0.1, n_rows=1)
    assert not controller.needs_baseline(1)


def test_a_draft_model_that_is_right_goes_on_and_one_that_is_wrong_stops() -> None:
    assert probed(accepted=1, draft_s=0.01).length > 1
    assert probed(accepted=0, draft_s=0.01).length == 0


def test_a_draft_that_takes_as_long_as_the_step_itself_stops() -> None:
    assert probed(accepted=1, draft_s=0.2).length == 0


def test_few_rows_are_drafted_for_until_it_is_known_to_pay() -> None:
    controller = SpeculationController()
    assert controller.n_rows(24) == 1
    assert probed(accepted=1, draft_s=0.01).n_rows(24) == 24


def test_a_fixed_length_is_taken_after_the_probe() -> None:
    policy = DraftPolicy(fixed_length=3)
    assert probed(accepted=1, draft_s=9.0, policy=policy).length == 3


@given(st.floats(0.0001, 0.05), st.floats(0.0001, 0.05))
def test_a_cheaper_draft_is_never_shorter(one_s: float, other_s: float) -> None:
    cheap, dear = sorted((one_s, other_s))
    lengths = [probed(accepted=1, draft_s=draft_s).length for draft_s in (cheap, dear)]
    assert MAX_DRAFT_TOKENS >= lengths[0] >= lengths[1] >= 0


def test_a_step_with_more_rows_than_ever_before_has_no_draft_and_drafting_goes_on() -> None:
    """A step of 24 rows takes longer than one of two, which is not the draft's fault."""
    controller = SpeculationController()
    controller.record_baseline(0.1, 2)

    def draft(n_rows: int, step_s: float) -> None:
        length = controller.length
        controller.record_step(
            n_rows=n_rows,
            draft_length=length,
            proposed=n_rows * length,
            accepted=n_rows * length,
            draft_s=0.002 * length,
            verify_s=step_s,
        )

    for _ in range(controller.policy.probe_steps):
        draft(2, 0.1)
    assert not controller.needs_baseline(1) and not controller.needs_baseline(2)
    assert controller.needs_baseline(3) and controller.needs_baseline(24)
    controller.record_baseline(0.4, 24)
    assert not controller.needs_baseline(24) and not controller.needs_baseline(2)
    for _ in range(10):
        assert controller.length > 1
        draft(24, 0.41)
    assert controller.length > 1


def test_an_expensive_encoder_that_has_been_tried_is_not_ruled_out_by_a_new_baseline() -> None:
    """The encoding that a probe would take is spent by then."""
    controller = probed(accepted=1, draft_s=0.01)
    controller.record_encoding(1, 0.9)
    controller.record_baseline(0.1, 24)
    assert controller.length > 1


def recorded(
    rate: float, draft_token_s: float, plain_s: float = 1.0, encode_s: float = 0.0
) -> RecordedDraftLength:
    """Of one row: steps of a second, a rate of acceptance that is well known."""
    lengths = RecordedDraftLength(encode_window_s=encode_s)
    assert lengths.needs_baseline(1)
    for length in (0, FIRST_RECORDED_LENGTH):
        lengths.record_time(1, length, plain_s + length * draft_token_s)
    assert not lengths.needs_baseline(1)
    lengths.record_step(500, round(500 * rate))
    return lengths


@given(st.floats(0, 1), st.floats(0.001, 2))
def test_a_recorded_length_is_the_fastest_or_near_it(rate: float, draft_token_s: float) -> None:
    """What another would gain does not pay for recording it."""
    rate = round(500 * rate) / 500
    speeds = {
        length: expected_tokens(rate, length) / (1 + length * draft_token_s)
        for length in (0, *RECORDED_LENGTHS)
    }
    chosen = recorded(rate, draft_token_s).choose(1)
    assert chosen in speeds
    if chosen:
        assert speeds[chosen] > speeds[0] * MIN_SPEEDUP * 0.999
        assert speeds[chosen] * 1.11 > max(speeds.values())
    else:
        assert speeds[FIRST_RECORDED_LENGTH] < speeds[0] * MIN_SPEEDUP * 1.001


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=20))
def test_a_recorded_length_that_is_forced_stays(steps: list[tuple[int, float]]) -> None:
    lengths = RecordedDraftLength(DraftPolicy(fixed_length=3))
    for proposed, rate in steps:
        lengths.record_step(proposed, int(proposed * rate))
        assert lengths.choose(24) == 3 and not lengths.needs_baseline(24)


def test_recorded_drafts_are_tried_until_a_rate_is_known_and_again_when_speech_may_have_changed():
    lengths = RecordedDraftLength()
    lengths.record_time(24, 0, 1.0)
    lengths.record_time(24, FIRST_RECORDED_LENGTH, 1.3)
    for _ in range(MIN_COMPARED):
        assert lengths.choose(24) == FIRST_RECORDED_LENGTH
        lengths.record_step(1, 0)
    for _ in range(STEPS_BETWEEN_TRIALS):
        assert lengths.choose(24) == 0
        lengths.record_step(0, 0)
    assert lengths.choose(24) == FIRST_RECORDED_LENGTH


def test_a_recorded_draft_whose_encoder_costs_more_than_it_gains_stops_and_is_not_tried_again():
    assert recorded(0.9, 0.05).choose(1) > 0
    lengths = recorded(0.9, 0.05, encode_s=100.0)
    assert not any(lengths.choose(1) for _ in range(2 * STEPS_BETWEEN_TRIALS))


def test_rows_that_were_never_drafted_for_are_judged_by_those_that_were() -> None:
    lengths = recorded(0.0, 0.5)
    lengths.record_time(8, 0, 2.0)
    assert lengths.choose(8) == 0

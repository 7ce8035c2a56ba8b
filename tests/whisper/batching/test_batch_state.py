"""A step's logic as tensors against the same in plain Python."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import MODELS
from token_constraints import constraint_after

from speech_endpoint.whisper.batching.batch_state import BatchState
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.logit_rules import LogitRules, Sampled
from speech_endpoint.whisper.tokenizer import Tokenizer

MAX_POSITIONS = 24
TOKENIZER = Tokenizer(load_checkpoint(str(MODELS / "whisper-tiny.en")))
RULES = LogitRules(TOKENIZER, torch.device("cpu"))
FIRST = TOKENIZER.first_timestamp
INITIAL_TOKENS = [TOKENIZER.sot_prev, 400, TOKENIZER.sot]
N_INITIAL = len(INITIAL_TOKENS)


@st.composite
def texts(draw: st.DrawFn, max_size: int) -> list[int]:
    """Text, ends and timestamps that never go back."""
    tokens = draw(st.lists(st.sampled_from([4, 400, TOKENIZER.eot, -1, -2, -3]), max_size=max_size))
    stamps = iter(sorted(draw(st.lists(st.integers(0, 1500), min_size=max_size))))
    return [FIRST + next(stamps) if token < 0 else token for token in tokens]


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Histories, drafts and choices, row by row; a draft is often what is chosen."""
    k = draw(st.integers(0, 4))
    histories, drafts, choices = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        text = draw(texts(12))
        n_history = draw(st.integers(0, len(text)))
        history = [token for token in text[:n_history] if token != TOKENIZER.eot]
        chosen = (text[n_history:] + draw(texts(k + 1)) + [4] * (k + 1))[: k + 1]
        draft = [*chosen[:k]]
        wrong_from = draw(st.integers(0, k))
        if draw(st.booleans()):
            draft[wrong_from:] = [-1] * (k - wrong_from)
        elif wrong_from < k:
            draft[wrong_from] = 5
        histories.append(history)
        drafts.append(draft)
        choices.append(chosen)
    return histories, drafts, choices


def tensors(drafts: list[list[int]]) -> torch.Tensor:
    return torch.tensor(drafts, dtype=torch.long).view(len(drafts), -1)


def state_after(histories: list[list[int]], limit: int = MAX_POSITIONS) -> BatchState:
    """Each history written token by token."""
    state = BatchState(RULES, len(histories), MAX_POSITIONS)
    for slot, history in enumerate(histories):
        row = BatchState(RULES, 1, MAX_POSITIONS)
        row.begin(0, INITIAL_TOKENS, limit)
        for token in history:
            row.write(tensors([[]]), Sampled(torch.tensor([token]), torch.zeros(1)))
        for name in (
            "last",
            "before_last",
            "latest_timestamp",
            "count",
            "position",
            "limit",
            "previous",
        ):
            getattr(state, name)[slot] = getattr(row, name)[0]
        state.active[slot], state.text[slot] = row.active[0], row.text[0]
    return state


@settings(deadline=None)
@given(batches())
def test_what_may_follow_each_position_is_what_the_rules_say(batch) -> None:
    """Up to the first position without a draft; those beyond it are never read."""
    histories, drafts, _ = batch
    width = 1 + len(drafts[0])
    logits = torch.zeros(len(histories) * width, TOKENIZER.vocabulary_size)
    RULES.choose(logits, state_after(histories).context(tensors(drafts)))
    allowed = (logits > -torch.inf).view(len(histories), width, -1)
    for row, (history, draft) in enumerate(zip(histories, drafts, strict=True)):
        for column in range(width):
            before = [*history, *draft[:column]]
            stamps = [token for token in before if TOKENIZER.is_timestamp(token)]
            if -1 in before or stamps != sorted(stamps):
                continue
            rule = constraint_after(before, TOKENIZER)
            may = allowed[row, column]
            timestamps = may[FIRST : TOKENIZER.after_timestamps].nonzero()[:, 0].tolist()
            assert timestamps == list(range(rule.timestamps_from, rule.timestamps_to))
            assert may[400] == (rule.text and not rule.first)
            assert may[TOKENIZER.eot] == (not rule.first)
            assert not may[TOKENIZER.suppress_tokens].any()


def written_by_hand(history: list[int], draft: list[int], chosen: list[int], room: int):
    """What is appended, and how much of the draft was right."""
    right = next((n for n, token in enumerate(draft) if token != chosen[n]), len(draft))
    tokens = chosen[: right + 1]
    if TOKENIZER.eot in tokens:
        tokens = tokens[: tokens.index(TOKENIZER.eot) + 1]
    return tokens[:room], right


@settings(deadline=None)
@given(batches(), st.integers(1, MAX_POSITIONS - N_INITIAL))
def test_a_step_appends_what_a_list_would_hold(batch, limit: int) -> None:
    histories, drafts, choices = batch
    histories = [history[: limit - 1] for history in histories]
    state = state_after(histories, limit)
    chosen = Sampled(torch.tensor(choices).flatten(), torch.arange(float(sum(map(len, choices)))))
    written = state.write(tensors(drafts), chosen)
    for row, history in enumerate(histories):
        expected, right = written_by_hand(history, drafts[row], choices[row], limit - len(history))
        n = int(written.n_written[row])
        assert written.tokens[row, :n].tolist() == expected
        assert written.n_accepted[row] == right
        after = [*history, *expected]
        assert state.text[row, : len(after)].tolist() == after
        assert state.count[row] == len(after)
        assert state.position[row] == N_INITIAL - 1 + len(after)
        assert state.last[row] == after[-1]
        assert state.previous[row] == [*INITIAL_TOKENS, *after][-2]
        assert state.before_last[row] == (after[-2] if len(after) > 1 else -1)
        assert bool(state.active[row]) == (after[-1] != TOKENIZER.eot and len(after) < limit)


@given(batches())
@settings(deadline=None)
def test_a_window_that_is_done_stays_as_it_is(batch) -> None:
    histories, drafts, choices = batch
    state = state_after(histories)
    for slot in range(len(histories)):
        state.stop(slot)
    before = {
        name: getattr(state, name).clone()
        for name in (
            "last",
            "before_last",
            "latest_timestamp",
            "count",
            "position",
            "active",
            "previous",
        )
    }
    text = state.text[:, :MAX_POSITIONS].clone()
    chosen = torch.tensor(choices).flatten()
    written = state.write(tensors(drafts), Sampled(chosen, torch.zeros(len(chosen))))
    assert not written.n_written.any()
    assert all(torch.equal(getattr(state, name), kept) for name, kept in before.items())
    assert torch.equal(state.text[:, :MAX_POSITIONS], text)

"""The check on a GPU runs, but for the GPU: small shapes on a CPU, the same code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu.__main__ import RUNS, SPEECH
from benchmarks.gpu.decoding import MIN_TOKENS, script
from benchmarks.gpu.measure import Bench, Section
from benchmarks.gpu.models import TURBO, random_checkpoint
from benchmarks.gpu.speakers import apart
from speech_endpoint.whisper.tokenizer import Tokenizer

CPU = torch.device("cpu")
# The others need real models, or minutes; captured steps have tests of their own.
QUICK = ("one step", "one hour", "acceptance", "encoder")


def lines(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(line) for line in (bench.out / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", QUICK)
def test_a_section_says_what_it_found(name: str, tmp_path: Path) -> None:
    bench = Bench(CPU, small=True, out=tmp_path)
    bench.run([section for section in SPEECH if section.name == name])
    found = lines(bench)
    assert found and not any("failed" in line for line in found), found


@pytest.mark.pure
def test_a_section_that_fails_is_said_and_the_next_one_runs(tmp_path: Path) -> None:
    bench = Bench(CPU, small=True, out=tmp_path)

    def fails(_: Bench) -> None:
        raise ValueError("on purpose")

    bench.run(
        [
            Section("first", 1, fails),
            Section("second", 1, lambda bench: bench.say("second", found=3)),
            Section("third", 1, fails, gpu_only=True),
        ]
    )
    first, second, third = lines(bench)
    assert "on purpose" in str(first["failed"])
    assert second["found"] == 3 and third["skipped"] == "needs a GPU"


@pytest.mark.pure
def test_what_does_not_fit_into_the_time_is_left_out(tmp_path: Path) -> None:
    bench = Bench(CPU, limit_s=10, out=tmp_path)
    bench.run([Section("long", 60, lambda _: None)])
    assert "of 60" in str(lines(bench)[0]["skipped"])


@pytest.mark.pure
def test_sections_have_names_of_their_own() -> None:
    for sections in RUNS.values():
        assert len({section.name for section in sections}) == len(sections)


@pytest.mark.pure
def test_a_script_follows_the_rules_of_timestamps_and_ends() -> None:
    tokenizer = Tokenizer(random_checkpoint(TURBO, torch.device("meta")))
    for row in script(tokenizer, 5, 448, 160).tolist():
        end = row.index(tokenizer.eot)
        text = row[1 : end - 1]
        assert row[0] == tokenizer.first_timestamp and tokenizer.is_timestamp(row[end - 1])
        assert len(text) >= MIN_TOKENS - 1 and len(set(text)) == len(text)
        assert all(map(tokenizer.is_text, text)) and set(row[end:]) == {tokenizer.eot}


@pytest.mark.pure
def test_answers_differ_by_the_speech_that_has_another_speaker() -> None:
    one = np.zeros((10, 2), bool)
    one[:6, 0] = one[6:, 1] = True
    assert apart(one, one[:, ::-1]) == 0
    other = one.copy()
    other[5] = [False, True]
    assert apart(one, other) == pytest.approx(0.1)
    assert apart(np.zeros_like(one), np.zeros_like(one)) == 0

"""What batched speculation would gain for a large model that is not here: a SIMULATION.

A decoder with large-v3's shape and random weights is timed as it is (one token a step) and as it checks drafts (1 + k
tokens a step); a drafter with distil-large-v3's shape (two decoder layers, the target's own encoder) likewise. Those
times are real, and so is the code. Whether a guess is right is not: it is drawn at a chosen rate, for every row and
token, and the steps are counted until all rows of a batch have written their text. The encoder, the same with and
without drafts, is left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

from benchmarks import child
from benchmarks.process import free_memory_gb, rss_mb
from benchmarks.section import Found, Options, Section, markdown_table, number
from speech_endpoint.whisper.backends.cpu import pick_device, pick_precision
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.logit_rules import Allowed, DecodingRules
from speech_endpoint.whisper.model import Decoder, DecoderState
from speech_endpoint.whisper.tokenizer import Vocabulary

RATES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
"""Share of the guesses that were looked at and were right."""
BATCHES = (1, 4, 8, 24)
LONGEST_DRAFT = 8
TOKENS = 100
"""Tokens that every row writes: what half a minute of speech has."""
TRIALS = 64
TIMED_STEPS = 5
# Where in the text the timed steps stand: the middle of a window.
POSITION = 64
# openai/whisper-large-v3's generation_config.json; their queries are kept at every step.
ALIGNMENT_HEADS = [
    [7, 0],
    [10, 17],
    [12, 18],
    [13, 12],
    [16, 1],
    [17, 14],
    [19, 11],
    [21, 4],
    [24, 1],
    [25, 6],
]


class RandomWeights(dict[str, torch.Tensor]):
    """Weights that are only drawn when a layer asks for them: float32, never all in memory at once."""

    def __getitem__(self, name: str) -> torch.Tensor:
        shape = super().__getitem__(name)
        return torch.randn(shape.shape, generator=torch.Generator().manual_seed(len(name))) * 0.02


def decoder_weights(config: WhisperConfig) -> RandomWeights:
    """The decoder of a Whisper of `config`'s shape, by transformers' names."""
    width, hidden = config.d_model, config.decoder_ffn_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embed_tokens.weight": (config.vocab_size, width),
        "embed_positions.weight": (config.max_target_positions, width),
        **_norm("layer_norm", width),
    }
    for n in range(config.decoder_layers):
        layer = f"layers.{n}."
        for attention in ("self_attn", "encoder_attn"):
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes[f"{layer}{attention}.{part}.weight"] = (width, width)
                if part != "k_proj":
                    shapes[f"{layer}{attention}.{part}.bias"] = (width,)
        for norm in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
            shapes |= _norm(layer + norm, width)
        shapes |= {layer + "fc1.weight": (hidden, width), layer + "fc1.bias": (hidden,)}
        shapes |= {layer + "fc2.weight": (width, hidden), layer + "fc2.bias": (width,)}
    return RandomWeights(
        {
            f"model.decoder.{name}": torch.empty(shape, device="meta")
            for name, shape in shapes.items()
        }
    )


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {name + ".weight": (width,), name + ".bias": (width,)}


def large_v3(decoder_layers: int) -> Checkpoint:
    """large-v3 (32 decoder layers), or distil-large-v3 (2), as far as a decoder sees it."""
    config = WhisperConfig(
        vocab_size=51866,
        num_mel_bins=128,
        d_model=1280,
        decoder_layers=decoder_layers,
        decoder_attention_heads=20,
        decoder_ffn_dim=5120,
        max_source_positions=1500,
        max_target_positions=448,
    )
    heads = [pair for pair in ALIGNMENT_HEADS if pair[0] < decoder_layers]
    return Checkpoint(
        name=f"large-v3's shape, {decoder_layers} decoder layers, random weights",
        config=config,
        generation_config=GenerationConfig(alignment_heads=heads),
        extractor=WhisperFeatureExtractor(feature_size=128),
        vocabulary={},
        encode_text=lambda text: [],
        weights=decoder_weights(config),
    )


class TimedDecoder:
    """A decoder, and the time of its steps at any batch size and width."""

    def __init__(self, checkpoint: Checkpoint, rules: DecodingRules, rows: int) -> None:
        device = pick_device("auto")
        self.decoder = Decoder(checkpoint, device, pick_precision("auto", "auto", device))
        self.rules = rules
        self.state: DecoderState = self.decoder.new_state(rows)
        noise = torch.randn(1, self.decoder.audio_frames, self.decoder.width, device=device)
        self.decoder.attach_audio(self.state, 0, noise)
        for row in range(1, rows):
            self.state.move(0, row, 1)

    def step_s(self, rows: int, width: int) -> float:
        """Median seconds of a step of `width` tokens for each of `rows`, the choice of the tokens included."""
        state = self.state.rows(0, rows)
        tokens = torch.randint(0, 50_000, (rows, width), device=self.decoder.device)
        places = torch.arange(POSITION, POSITION + width, device=self.decoder.device).expand(
            rows, -1
        )
        return statistics.median(self._once(tokens, places, state) for _ in range(1 + TIMED_STEPS))

    def _once(self, tokens: torch.Tensor, places: torch.Tensor, state: DecoderState) -> float:
        started = time.perf_counter()
        logits = self.decoder.step(tokens, places, state).flatten(0, 1)[
            :, : self.rules.vocabulary.size
        ]
        choice = self.rules.choose(logits, [Allowed()] * len(logits), [None] * len(logits))
        choice.tokens.tolist()
        return time.perf_counter() - started


@dataclass(frozen=True)
class StepTimes:
    """Seconds of steps at one batch size; index n: n + 1 tokens a row."""

    target: tuple[float, ...]
    drafter: tuple[float, ...]

    def drafted_s(self, length: int) -> float:
        """A step with drafts of `length` tokens.

        The drafter's first step reads what was accepted last time, at most `length` + 1 tokens: taken as that many.
        """
        return self.drafter[length] + (length - 1) * self.drafter[0] + self.target[length]


def steps_needed(
    rate: float, rows: int, length: int, tokens: int = TOKENS, trials: int = TRIALS
) -> float:
    """Steps until every one of `rows` has written `tokens`, on average, with drafts of `length`.

    Each guess is right with probability `rate`; a row takes its guesses up to the first wrong one, and one token more.
    """
    random = np.random.default_rng(0)
    left = np.full((trials, rows), tokens)
    steps = np.zeros(trials)
    while (left > 0).any():
        right = random.random((trials, rows, length)) < rate
        steps += (left > 0).any(axis=1)
        left -= 1 + right.cumprod(axis=2).sum(axis=2)
    return float(steps.mean())


def predictions(batch: int, times: StepTimes, rates: Sequence[float] = RATES) -> Iterator[Found]:
    """For every acceptance rate the draft length that pays most, and how much."""
    plain_s = TOKENS * times.target[0]
    for rate in rates:
        speedups = {
            length: plain_s / (steps_needed(rate, batch, length) * times.drafted_s(length))
            for length in range(1, len(times.target))
        }
        best = max(speedups, key=speedups.__getitem__)
        yield {"batch": batch, "acceptance": rate, "draft_length": best, "speedup": speedups[best]}


@torch.inference_mode()
def simulate(batches: Sequence[int]) -> Found:
    """Time the decoders, then predict."""
    torch.manual_seed(0)
    rules = DecodingRules(
        Vocabulary(load_checkpoint(str(child.REPOSITORY / child.ASR_MODEL))), pick_device("auto")
    )
    target = TimedDecoder(large_v3(32), rules, max(batches))
    drafter = TimedDecoder(large_v3(2), rules, max(batches))
    steps: list[Found] = []
    found: list[Found] = []
    for batch in batches:
        times = StepTimes(
            tuple(target.step_s(batch, 1 + n) for n in range(LONGEST_DRAFT + 1)),
            tuple(drafter.step_s(batch, 1 + n) for n in range(LONGEST_DRAFT + 1)),
        )
        steps.append({"batch": batch, "target_s": times.target, "drafter_s": times.drafter})
        found += predictions(batch, times)
    return {"simulated": True, "steps": steps, "predictions": found, "rss_mb": rss_mb()}


def measure(options: Options) -> Found:
    """The section of the benchmark."""
    # 1.8 GB of weights, and in bfloat16 0.32 GB of caches a row.
    room = (free_memory_gb() - 4.0) / 0.35
    batches = [batch for batch in BATCHES if batch <= room and not (options.quick and batch > 4)]
    return child.call("benchmarks.speculation_simulation", {"batches": batches}, options.threads)


def tables(found: Found) -> str:
    batches = [entry["batch"] for entry in found["steps"]]
    rates = sorted({entry["acceptance"] for entry in found["predictions"]})
    cell = {(entry["acceptance"], entry["batch"]): entry for entry in found["predictions"]}
    gains = [
        [f"{rate:.0%}"]
        + [
            f"{cell[rate, b]['speedup']:.2f} × (k = {cell[rate, b]['draft_length']})"
            for b in batches
        ]
        for rate in rates
    ]
    times = [
        [
            f"batch {entry['batch']}",
            *(number(1000 * entry["target_s"][n], 0) for n in (0, 1, 4, 8)),
            number(1000 * entry["drafter_s"][0], 1),
        ]
        for entry in found["steps"]
    ]
    return "\n\n".join(
        [
            "**Simulated**: random weights of large-v3's shape (drafter: distil-large-v3's, two layers); the times of "
            "the steps are real, the acceptance is drawn. Speed-up of decoding, without the encoder, over decoding "
            "without drafts at the same batch size; k is the draft length that pays most.",
            markdown_table(["acceptance", *(f"batch {batch}" for batch in batches)], gains),
            "Milliseconds of a step:",
            markdown_table(
                ["", "plain", "checking 1", "checking 4", "checking 8", "drafter, 1 token"],
                times,
            ),
        ]
    )


SECTION = Section("simulation", "Speculation for large models (simulation)", measure, tables)


if __name__ == "__main__":
    child.answer(simulate(child.task()["batches"]))

"""Models to measure on a GPU: real ones, and random ones of the shapes of large ones.

Random weights are drawn on the device when a layer asks for them, by their name: two models have
the same weights where their names are the same, as distil-whisper's encoder is large-v3's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.checkpoint.published import Sizes, TokenRules
from speech_endpoint.whisper.checkpoint.vocabulary import Vocabulary
from speech_endpoint.whisper.checkpoint.weights import weight_shapes
from speech_endpoint.whisper.tokenizer import N_TIMESTAMPS, NEVER_WRITTEN

LARGE_V3 = Sizes(
    vocab_size=51_866, d_model=1280, encoder_layers=32, encoder_attention_heads=20,
    decoder_layers=32, decoder_attention_heads=20, encoder_ffn_dim=5120, decoder_ffn_dim=5120,
    num_mel_bins=128,
)  # fmt: skip
TURBO = LARGE_V3.model_copy(update={"decoder_layers": 4})
DISTIL = LARGE_V3.model_copy(update={"decoder_layers": 2})
SHAPES = {"large-v3": LARGE_V3, "turbo": TURBO, "distil": DISTIL}
# As published: how much of the attention goes to the host for word times depends on them.
ALIGNMENT_HEADS = {
    32: [(7, 0), (10, 17), (12, 18), (13, 12), (16, 1), (17, 14), (19, 11), (21, 4), (24, 1),
         (25, 6)],
    4: [(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)],
}  # fmt: skip
N_LANGUAGES = 100
N_TEXT_TOKENS = 50_257


class DrawnWeights(Mapping[str, Tensor]):
    """The weights of a network of some sizes, float16, drawn anew at each look."""

    def __init__(self, sizes: Sizes, device: torch.device) -> None:
        self.shapes, self.device = weight_shapes(sizes), device

    def __len__(self) -> int:
        return len(self.shapes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __getitem__(self, name: str) -> Tensor:
        shape = self.shapes[name]
        if "layer_norm" in name:
            is_scale = float(name.endswith("weight"))
            return torch.full(shape, is_scale, dtype=torch.float16, device=self.device)
        if self.device.type == "meta":
            return torch.empty(shape, dtype=torch.float16, device=self.device)
        generator = torch.Generator(self.device).manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(shape, generator=generator, dtype=torch.float16, device=self.device)
        return drawn * 0.02


def random_checkpoint(sizes: Sizes, device: torch.device, name: str = "random") -> Checkpoint:
    """A multilingual Whisper of these sizes that has learnt nothing.

    Args:
        sizes: of the network.
        device: where weights are drawn; meta: they have shapes alone.
        name: for errors.
    """
    vocabulary = _vocabulary()
    languages = {token: i for token, i in vocabulary.ids.items() if N_TEXT_TOKENS < i < 50_359}
    rules = TokenRules(
        suppress_tokens=[1, 2, 7],
        begin_suppress_tokens=[220, N_TEXT_TOKENS],
        alignment_heads=ALIGNMENT_HEADS.get(sizes.decoder_layers),
        lang_to_id=languages,
        task_to_id={task: vocabulary.ids[f"<|{task}|>"] for task in ("translate", "transcribe")},
        is_multilingual=True,
        no_timestamps_token_id=vocabulary.ids["<|notimestamps|>"],
    )
    return Checkpoint(name, sizes, rules, vocabulary, DrawnWeights(sizes, device))


def _vocabulary() -> Vocabulary:
    """As large as large-v3's, every text token spelled by a few letters of its own."""
    languages = ["en", *(f"{a}{b}" for a in "bcdfghjk" for b in "abcdefghijklmnop")][:N_LANGUAGES]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in languages)]
    specials += [token for token in NEVER_WRITTEN[1:] if token != "<|nocaptions|>"]
    text = {_spelling(n): n for n in range(N_TEXT_TOKENS)}
    timestamps = [f"<|{n * 0.02:.2f}|>" for n in range(N_TIMESTAMPS)]
    ids = {token: N_TEXT_TOKENS + n for n, token in enumerate(specials + timestamps)}
    return Vocabulary(text | ids, {}, lambda text: [])


def _spelling(n: int) -> str:
    """A blank before each, so that each is a word; the last of 256 letters stand for themselves."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    digits = [letters[n // 26**place % 26] for place in range(4)]
    return "Ġ" + ("" if n == 220 else "".join(digits))

"""A step is issued without a look at the device: what may be captured, and what it costs."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from paths import MODELS
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from speech_endpoint.whisper.backends.cuda import CudaBackend
from speech_endpoint.whisper.batching.batch_state import BatchState
from speech_endpoint.whisper.batching.recorded_drafts import choose_drafts
from speech_endpoint.whisper.batching.stepping import advance
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.logit_rules import LogitRules
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.tokenizer import Tokenizer

# What no step may do: each waits for the device, or copies from the host.
WAITS = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "unique", "_to_copy")
# Views cost nothing on a device.
VIEWS = (
    "view", "_unsafe_view", "t", "transpose", "expand", "slice", "select", "unsqueeze", "squeeze",
    "permute", "as_strided", "alias", "detach", "split", "unbind", "_reshape_alias", "empty",
    "new_empty", "lift_fresh", "device",
)  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts what a device would be given."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **kwargs or {})
        name = func.overloadpacket.__name__
        # A conversion between number formats stays on its device, a copy to another does not.
        if name == "_to_copy" and args[0].device == found.device:
            name = "convert"
        self.counts[name] += 1
        return found

    @property
    def n_kernels(self) -> int:
        return sum(n for name, n in self.counts.items() if name not in VIEWS)


def shaped_like(layers: int, heads: int, alignment_heads: int) -> Checkpoint:
    """A published Whisper of that size, weights without values."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    base = load_checkpoint(str(MODELS / "whisper-base"))
    width = heads * 64
    with torch.device("meta"):
        network = WhisperForConditionalGeneration(
            WhisperConfig.from_pretrained(
                MODELS / "whisper-base",
                d_model=width,
                encoder_layers=1,
                decoder_layers=layers,
                encoder_attention_heads=heads,
                decoder_attention_heads=heads,
                encoder_ffn_dim=4 * width,
                decoder_ffn_dim=4 * width,
            )
        )
    config = base.config.model_copy(
        update={
            "d_model": width,
            "encoder_layers": 1,
            "decoder_layers": layers,
            "encoder_attention_heads": heads,
            "decoder_attention_heads": heads,
        }
    )
    looking = [[layers // 2 + n % (layers // 2), n] for n in range(alignment_heads)]
    rules = base.token_rules.model_copy(update={"alignment_heads": looking})
    return SimpleNamespace(
        config=config,
        token_rules=rules,
        weights=dict(network.state_dict()),
        vocabulary=base.vocabulary,
        name="shaped",
    )


def step_on(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    checkpoint: Checkpoint,
    rows: int,
    k: int,
    *,
    drafted: bool = False,
) -> tuple[Operations, BatchState]:
    """One step of a model without values, on a device that need not be there; drafted by itself."""
    backend = CudaBackend(torch.device(device), torch.float16)
    tokenizer = Tokenizer(checkpoint)
    decoder, rules = Decoder(checkpoint, backend), LogitRules(tokenizer, backend.device)
    cache = decoder.new_cache(rows)
    encoder = Encoder(checkpoint, backend)
    mel = torch.zeros(2, checkpoint.config.num_mel_bins, 3000, device=device)
    decoder.attach_audio(cache, 0, encoder(mel))
    state = BatchState(rules, rows, decoder.max_positions)
    drafts = torch.zeros(rows, k, dtype=torch.long, device=device)
    model = SimpleNamespace(decoder=decoder, rules=rules, tokenizer=tokenizer)
    # A GPU has one kernel for it, which without values falls apart into ten.
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, *_, **__: q.clone())
    with torch.no_grad(), Operations() as operations:
        if drafted:
            drafts = choose_drafts(model, cache, state, rows, 64, k)
        written = advance(model, cache, state, drafts, 64)
    assert written.tokens.shape == (rows, k + 1) and written.tokens.device.type == device
    return operations, state


@pytest.fixture(scope="module")
def large() -> Checkpoint:
    return shaped_like(layers=32, heads=20, alignment_heads=10)


@pytest.mark.parametrize("k", [0, 4])
def test_a_step_reads_no_value(monkeypatch: pytest.MonkeyPatch, large: Checkpoint, k: int) -> None:
    """Without values, whatever asks for one raises: what passes can be captured as a graph."""
    operations, _ = step_on(monkeypatch, "meta", large, rows=24, k=k)
    assert not [name for name in WAITS if operations.counts[name]], operations.counts
    assert operations.n_kernels < 801, operations.counts


def test_a_drafted_step_reads_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = shaped_like(layers=2, heads=2, alignment_heads=2)
    operations, _ = step_on(monkeypatch, "meta", checkpoint, rows=24, k=4, drafted=True)
    assert not [name for name in WAITS if operations.counts[name]], operations.counts


def test_no_step_mixes_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that pretend to be on a GPU: one that is left on the host raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    checkpoint = shaped_like(layers=2, heads=2, alignment_heads=2)
    with FakeTensorMode():
        for name, tensor in checkpoint.weights.items():
            checkpoint.weights[name] = torch.empty(tensor.shape)
        _, state = step_on(monkeypatch, "cuda", checkpoint, rows=3, k=2, drafted=True)
        assert state.text.device.type == "cuda"

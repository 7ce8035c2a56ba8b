"""Where there is speech: Silero VAD (https://github.com/snakers4/silero-vad, MIT), run in parallel.

Only the package's safetensors file is read, whose weights differ from those of its TorchScript and
ONNX models. Importing the package would set PyTorch to one thread for the whole process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.intervals import Interval, merge
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.units import Units, finish

# Silero's own input: a frame of 32 ms, and 4 ms of what came before it.
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
# The LSTM runs over rows of 16 s side by side instead of one after the other. Each row starts 2 s
# early to warm up the LSTM's state, which reaches further back: in ten minutes of speech, 0.4 % of
# the frames are classified differently from a single run by SPEECH_THRESHOLD (0.2 % with 16 s).
ROW_FRAMES = 512
WARMUP_FRAMES = 64
# Rows run in blocks of a minute, so that memory does not grow with the recording, and what a block
# holds stays in cache: four rows take 35 ms of a thread (AMD EPYC, Zen 5), sixteen 290. On a GPU of
# half an hour: 576 steps of the LSTM take as long for 128 rows as for one.
BLOCK_FRAMES, GPU_BLOCK_FRAMES = 4 * ROW_FRAMES, 128 * ROW_FRAMES
# Frames whose spectra are computed together.
FEATURE_FRAMES = 16 * ROW_FRAMES + WARMUP_FRAMES
CPU = torch.device("cpu")

# Speech begins at the first probability and ends below the second: Silero's own hysteresis.
SPEECH_THRESHOLD = 0.5
SILENCE_THRESHOLD = 0.35
MIN_SPEECH_S = 0.1
MIN_SILENCE_S = 0.16
PAD_S = 0.2

Probabilities = npt.NDArray[np.float32]
"""(frames,): the probability of speech in each frame of 32 ms."""


class SileroVAD:
    """Voice activity detection."""

    def __init__(self, device: torch.device = CPU) -> None:
        """
        Args:
            device: where it runs.

        Raises:
            ModelUnavailable: the package silero-vad is not installed.
        """
        spec = importlib.util.find_spec("silero_vad")
        if spec is None or not spec.submodule_search_locations:
            raise ModelUnavailable(
                "voice activity detection needs the package silero-vad (see requirements.txt)"
            )
        package = Path(spec.submodule_search_locations[0])
        weights = load_file(package / "data" / "silero_vad_16k.safetensors")
        self.device = device
        self.weights = {name: weight.to(device) for name, weight in weights.items()}
        self.block_frames = BLOCK_FRAMES if device.type == "cpu" else GPU_BLOCK_FRAMES
        self.lstm = torch.nn.LSTM(128, 128, batch_first=True, device=device)
        self.lstm.load_state_dict(
            {
                f"{name}_l0": weights[f"lstm_cell.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )

    def __call__(self, waveform: Waveform | Tensor) -> Probabilities:
        """The probability of speech in each frame of a waveform; see `stream`."""
        return finish(self.stream(waveform))

    def stream(self, waveform: Waveform | Tensor) -> Units[Probabilities]:
        """The probability of speech in each frame of a waveform; a unit is one block of it.

        Args:
            waveform: (samples,), on any device; the last frame is filled up with silence.

        Returns:
            (ceil(samples / FRAME_SAMPLES),).
        """
        samples = torch.as_tensor(waveform)
        if not len(samples):
            return np.zeros(0, np.float32)
        blocks: list[Tensor] = []
        for first in range(0, len(samples), self.block_frames * FRAME_SAMPLES):
            if blocks:
                yield
            blocks.append(self._block(samples, first))
        return torch.cat(blocks).cpu().numpy()

    @torch.inference_mode()
    def _block(self, samples: Tensor, first_sample: int) -> Tensor:
        """The probabilities of the frames of one block, which begins at `first_sample`."""
        warmup_frames = WARMUP_FRAMES if first_sample else 0
        frames = _frames(
            samples[: first_sample + self.block_frames * FRAME_SAMPLES],
            first_sample - warmup_frames * FRAME_SAMPLES,
            self.device,
        )
        features = torch.cat([self._features(part) for part in frames.split(FEATURE_FRAMES)])
        hidden = self._hidden(features) if first_sample else self._first_hidden(features)
        output = self.weights["final_conv.weight"].view(-1)
        return torch.sigmoid(F.relu(hidden) @ output + self.weights["final_conv.bias"])

    def _hidden(self, features: Tensor) -> Tensor:
        """The LSTM over WARMUP_FRAMES and more, (frames, 128); without those, the same shape."""
        n_frames = len(features) - WARMUP_FRAMES
        hidden, _ = self.lstm(_rows(features))
        return hidden[:, WARMUP_FRAMES:].flatten(0, 1)[:n_frames]

    def _first_hidden(self, features: Tensor) -> Tensor:
        """As `_hidden`, from a recording's beginning: with the LSTM's zero state, no warm-up."""
        n_frames = len(features)
        if n_frames <= ROW_FRAMES:
            return self.lstm(features[None])[0][0]
        # The first row is as long as the others, so that one call computes all.
        n_missing = max(0, WARMUP_FRAMES + ROW_FRAMES - n_frames)
        first = F.pad(features[: WARMUP_FRAMES + ROW_FRAMES], (0, 0, 0, n_missing))
        rows = torch.cat([first[None], _rows(features[ROW_FRAMES - WARMUP_FRAMES :])])
        hidden, _ = self.lstm(rows)
        others = hidden[1:, WARMUP_FRAMES:].flatten(0, 1)
        return torch.cat([hidden[0, :ROW_FRAMES], others])[:n_frames]

    def _features(self, frames: Tensor) -> Tensor:
        """The encoder: (frames, CONTEXT_SAMPLES + FRAME_SAMPLES) to (frames, 128)."""
        w = self.weights
        x = F.pad(frames[:, None], (0, CONTEXT_SAMPLES), mode="reflect")
        spectrum = F.conv1d(x, w["stft_conv.weight"], stride=128)
        real, imaginary = spectrum.chunk(2, dim=1)
        x = torch.sqrt(real**2 + imaginary**2)
        for n, stride in enumerate((1, 2, 2, 1), start=1):
            weight, bias = w[f"conv{n}.weight"], w[f"conv{n}.bias"]
            x = F.relu(F.conv1d(x, weight, bias, stride=stride, padding=1))
        return x.squeeze(-1)


def _rows(features: Tensor) -> Tensor:
    """Rows of WARMUP_FRAMES + ROW_FRAMES, of which the next repeats the last WARMUP_FRAMES.

    Args:
        features: (frames, 128), WARMUP_FRAMES of them before the first that count.

    Returns:
        (rows, WARMUP_FRAMES + ROW_FRAMES, 128); the last is filled up with zeros.
    """
    missing = _missing(len(features) - WARMUP_FRAMES, ROW_FRAMES)
    rows = F.pad(features, (0, 0, 0, missing)).unfold(0, WARMUP_FRAMES + ROW_FRAMES, ROW_FRAMES)
    return rows.transpose(1, 2)


def _frames(samples: Tensor, first_sample: int, device: torch.device) -> Tensor:
    """Every frame from `first_sample` on behind its context: (frames, CONTEXT + FRAME_SAMPLES)."""
    start = first_sample - CONTEXT_SAMPLES
    # Silence stands before the first sample and fills up the last frame.
    before = max(0, -start)
    after = _missing(len(samples) - first_sample, FRAME_SAMPLES)
    padded = F.pad(samples[max(0, start) :].to(device), (before, after))
    return padded.unfold(0, CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)


def _missing(length: int, multiple: int) -> int:
    """How much `length` lacks to the next multiple."""
    return -length % multiple


def speech_segments(probabilities: Probabilities, duration_s: float) -> list[Interval]:
    """Where speech begins and ends, to a frame or two.

    Args:
        probabilities: (frames,), of `SileroVAD`.
        duration_s: of the recording; speech in the last frame ends there.

    Returns:
        Segments of MIN_SPEECH_S or more, in order, more than MIN_SILENCE_S apart.
    """
    segments: list[Interval] = []
    start: float | None = None
    for n, probability in enumerate(probabilities):
        if start is None and probability >= SPEECH_THRESHOLD:
            start = n * FRAME_S
        elif start is not None and probability < SILENCE_THRESHOLD:
            segments.append(Interval(start, n * FRAME_S))
            start = None
    if start is not None:
        segments.append(Interval(start, duration_s))
    return [s for s in merge(segments, MIN_SILENCE_S) if s.duration_s >= MIN_SPEECH_S]


def pad_segments(segments: Sequence[Interval], duration_s: float) -> list[Interval]:
    """Speech segments with PAD_S on either side, for the recogniser; those that then meet are one.

    Args:
        segments: in order, not overlapping.
        duration_s: of the recording, which no segment leaves.
    """
    return merge(
        Interval(max(0.0, segment.start - PAD_S), min(duration_s, segment.end + PAD_S))
        for segment in segments
    )

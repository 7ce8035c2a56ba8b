"""Where there is speech: Silero VAD (https://github.com/snakers4/silero-vad, MIT), run over many stretches at once.

The package's weights are read, the package itself is not imported: importing it sets PyTorch to one thread for the
whole process.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from speech_endpoint.transcript import SAMPLE_RATE_HZ

FRAME_SAMPLES = 512  # 32 ms
CONTEXT_SAMPLES = 64
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
# The network remembers: each stretch starts this much early, so that its first frames are judged as in one long run.
RUN_IN_FRAMES = 64
STRETCH_FRAMES = 512
# Stretches are run side by side in blocks of four minutes, so that memory does not grow with the recording.
BLOCK_FRAMES = 16 * STRETCH_FRAMES


class VoiceActivity:
    """Silero VAD on the CPU."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("silero_vad")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError(
                "voice activity detection needs the package silero-vad (see requirements.txt)"
            )
        weights = load_file(
            Path(spec.submodule_search_locations[0], "data", "silero_vad_16k.safetensors")
        )
        self.weights = weights
        self.lstm = torch.nn.LSTM(128, 128, batch_first=True)
        self.lstm.load_state_dict(
            {
                f"{name}_l0": weights[f"lstm_cell.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )

    @torch.inference_mode()
    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """The probability of speech in each frame of 32 ms of a waveform (samples,): shape (frames,), float32."""
        if waveform.size == 0:
            return np.zeros(0, np.float32)
        samples = torch.from_numpy(waveform)
        frames = -(-len(samples) // FRAME_SAMPLES)
        blocks = [self._block(samples, first) for first in range(0, frames, BLOCK_FRAMES)]
        return torch.cat(blocks).numpy()

    def _block(self, samples: torch.Tensor, first: int) -> torch.Tensor:
        """The probabilities of at most BLOCK_FRAMES frames from frame `first` on."""
        run_in = RUN_IN_FRAMES if first else 0
        heard = samples[
            max(0, (first - run_in) * FRAME_SAMPLES - CONTEXT_SAMPLES) : (first + BLOCK_FRAMES)
            * FRAME_SAMPLES
        ]
        before = 0 if first else CONTEXT_SAMPLES
        heard = F.pad(heard, (before, -(before + len(heard) - CONTEXT_SAMPLES) % FRAME_SAMPLES))
        features = self._features(heard.unfold(0, CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES))
        count = len(features) - run_in
        # Rows overlap by the run-in, whose results are thrown away.
        padded = F.pad(features, (0, 0, RUN_IN_FRAMES - run_in, -count % STRETCH_FRAMES))
        rows = padded.unfold(0, RUN_IN_FRAMES + STRETCH_FRAMES, STRETCH_FRAMES).transpose(1, 2)
        hidden = self.lstm(rows)[0][:, RUN_IN_FRAMES:].flatten(0, 1)[:count]
        if not run_in:
            beginning = self.lstm(features[:STRETCH_FRAMES][None])[0][0]
            hidden = torch.cat([beginning, hidden[len(beginning) :]])
        score = (
            F.relu(hidden) @ self.weights["final_conv.weight"].view(-1)
            + self.weights["final_conv.bias"]
        )
        return torch.sigmoid(score)

    def _features(self, frames: torch.Tensor) -> torch.Tensor:
        w = self.weights
        x = F.pad(frames[:, None], (0, CONTEXT_SAMPLES), mode="reflect")
        spectrum = F.conv1d(x, w["stft_conv.weight"], stride=128)
        real, imaginary = spectrum.chunk(2, dim=1)
        x = torch.sqrt(real**2 + imaginary**2)
        for n, stride in enumerate((1, 2, 2, 1), start=1):
            x = F.relu(
                F.conv1d(x, w[f"conv{n}.weight"], w[f"conv{n}.bias"], stride=stride, padding=1)
            )
        return x.squeeze(-1)


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of speech, in seconds."""

    start: float
    end: float


THRESHOLD = 0.5
# Once in speech, it ends only below this (Silero's own hysteresis).
THRESHOLD_OFF = 0.35
MIN_SPEECH_S = 0.1
MIN_SILENCE_S = 0.16
PAD_S = 0.2


def voiced_regions(probabilities: np.ndarray, duration_s: float) -> list[Speech]:
    """Stretches of voice from the probabilities of `VoiceActivity`: where it begins and ends, to a frame or two.

    In order, not overlapping.
    """
    regions: list[Speech] = []
    start: float | None = None
    for n, p in enumerate(probabilities):
        if start is None and p >= THRESHOLD:
            start = n * FRAME_S
        elif start is not None and p < THRESHOLD_OFF:
            regions.append(Speech(start, n * FRAME_S))
            start = None
    if start is not None:
        regions.append(Speech(start, duration_s))
    return [r for r in _join(regions, MIN_SILENCE_S) if r.end - r.start >= MIN_SPEECH_S]


def padded(voiced: list[Speech], duration_s: float) -> list[Speech]:
    """Stretches of voice with PAD_S on either side, for a recogniser; those that then meet are one."""
    return _join(
        [Speech(max(0.0, r.start - PAD_S), min(duration_s, r.end + PAD_S)) for r in voiced], 0.0
    )


def _join(regions: list[Speech], gap_s: float) -> list[Speech]:
    joined: list[Speech] = []
    for region in regions:
        if joined and region.start - joined[-1].end <= gap_s:
            joined[-1] = Speech(joined[-1].start, max(joined[-1].end, region.end))
        else:
            joined.append(region)
    return joined

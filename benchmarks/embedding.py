"""How well an embedding tells voices apart, by how long they are heard.

    python -m benchmarks.embedding

Stretches of speech in which one person speaks are compared in pairs: of one voice, or of two. The
equal error rate is where as many pairs of one voice are taken for two as pairs of two for one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks import corpus, run
from benchmarks.systems import DIARIZATION_MODEL
from speech_endpoint.diarization.networks.campplus import FinalLayer
from speech_endpoint.diarization.networks.embedding import SpeakerEmbedder
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

SECONDS = (1.0, 2.0, 4.0)
MAX_STRETCHES_PER_VOICE = 20
MAX_STRETCHES_PER_TURN = 6


def stretches(clip: corpus.Clip, seconds: float) -> Iterator[tuple[str, Waveform]]:
    """Voices of a recording, and what each says alone, cut to pieces of so many seconds."""
    for turn in clip.turns:
        others = (one for one in clip.turns if one is not turn)
        if any(one.start < turn.end and one.end > turn.start for one in others):
            continue
        for n in range(min(MAX_STRETCHES_PER_TURN, int((turn.end - turn.start) / seconds))):
            first = round((turn.start + n * seconds) * SAMPLE_RATE_HZ)
            piece = clip.waveform[first : first + round(seconds * SAMPLE_RATE_HZ)]
            yield f"{clip.name} {turn.speaker}", piece


def equal_error_rate(similarities: np.ndarray, is_same: np.ndarray) -> tuple[float, float]:
    """The equal error rate, and the similarity at which it lies.

    Args:
        similarities: (pairs,).
        is_same: (pairs,), whether a pair is of one voice.
    """
    order = np.argsort(similarities)
    is_same = is_same[order]
    rejected = np.cumsum(is_same) / is_same.sum()
    accepted = 1 - np.cumsum(~is_same) / (~is_same).sum()
    at = int(np.abs(rejected - accepted).argmin())
    return float(rejected[at] + accepted[at]) / 2, float(similarities[order][at])


def row(embedder: SpeakerEmbedder, clips: list[corpus.Clip], seconds: float) -> list[str]:
    """One row of the table."""
    by_voice: dict[str, list[Waveform]] = {}
    for clip in clips:
        for voice, piece in stretches(clip, seconds):
            by_voice.setdefault(voice, []).append(piece)
    random = np.random.default_rng(0)
    chosen = [
        (voice, pieces[n])
        for voice, pieces in by_voice.items()
        for n in random.permutation(len(pieces))[:MAX_STRETCHES_PER_VOICE]
    ]
    vectors = np.stack([embedder.embed(piece) for _, piece in chosen])
    voices = np.array([voice for voice, _ in chosen])
    pairs = np.triu_indices(len(chosen), 1)
    similarities, is_same = (vectors @ vectors.T)[pairs], (voices[:, None] == voices)[pairs]
    rate, at = equal_error_rate(similarities, is_same)
    means = similarities[is_same].mean(), similarities[~is_same].mean()
    figures = (f"{100 * rate:.2f} %", *(f"{figure:.2f}" for figure in (at, *means)))
    return [f"{seconds:g} s", f"{len(by_voice)}, {len(chosen)}", *figures]


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.embedding", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    clips = [clip for clip in corpus.find_clips(["conversations"]) if not far_field(clip)]
    embedder = SpeakerEmbedder(Path(DIARIZATION_MODEL) / "embedding" / "model.safetensors")
    published = [row(embedder, clips, seconds) for seconds in SECONDS]
    # As packages do that copy the network from others: half of each embedding is lost.
    last = embedder.network.xvector["dense"]
    assert isinstance(last, FinalLayer)
    last.nonlinear.append(torch.nn.ReLU())
    clipped = [row(embedder, clips, seconds) for seconds in SECONDS]
    with_relu = [[f"{length}, with a ReLU", *figures] for length, *figures in clipped]
    columns = ["", "voices, stretches", "equal error rate", "at", "one voice", "two voices"]
    print(run.markdown_table(columns, published + with_relu))


def far_field(clip: corpus.Clip) -> bool:
    """Whether it is a meeting: too much of what is said there is not said alone."""
    return clip.name.startswith("ami_")


if __name__ == "__main__":
    main()

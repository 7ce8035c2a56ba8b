"""Whether words are right as often as their probabilities say: reliability, by model.

Words are aligned with the reference after normalisation, as for the word error rate; a word is
right if all that it is normalised to is. What is normalised to nothing ("um") is not judged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from benchmarks import corpus, metrics, run
from benchmarks.accuracy import OFFSET_STEP_S
from benchmarks.scores import DASH, number
from benchmarks.systems import ASR_MODEL, DRAFT_MODEL, Entry, OurRecogniser
from speech_endpoint.transcript import Word

N_BINS = 10
MODELS = {path.name: path for path in (ASR_MODEL, DRAFT_MODEL)}


@dataclass(frozen=True)
class ReliabilityBin:
    """Of what has a confidence between two bounds."""

    low: float
    high: float
    count: int
    confidence: float
    """The mean; NaN of nothing."""
    share_right: float
    """NaN of nothing."""


def reliability_bins(
    confidences: npt.ArrayLike,
    is_right: npt.ArrayLike,
    n_bins: int = N_BINS,
    *,
    equal_mass: bool = False,
) -> list[ReliabilityBin]:
    """How often what is said with a confidence is right (Guo et al. 2017, section 2).

    Args:
        confidences: (n,), 0 to 1.
        is_right: (n,), booleans.
        n_bins: how many.
        equal_mass: bins of as many each instead of bins of the same width (Nguyen and O'Connor
            2015); there are no more bins than confidences then.
    """
    said, right = np.asarray(confidences, dtype=float), np.asarray(is_right, dtype=bool)
    order = np.argsort(said, kind="stable")
    said, right = said[order], right[order]
    if equal_mass:
        parts = [part for part in np.array_split(np.arange(said.size), n_bins) if part.size]
        bounds = [(said[part[0]], said[part[-1]]) for part in parts]
    else:
        numbers = np.minimum((said * n_bins).astype(int), n_bins - 1)
        parts = [np.flatnonzero(numbers == n) for n in range(n_bins)]
        bounds = [(n / n_bins, (n + 1) / n_bins) for n in range(n_bins)]
    return [
        ReliabilityBin(
            float(low),
            float(high),
            part.size,
            float(said[part].mean()) if part.size else float("nan"),
            float(right[part].mean()) if part.size else float("nan"),
        )
        for part, (low, high) in zip(parts, bounds, strict=True)
    ]


def expected_calibration_error(
    confidences: npt.ArrayLike,
    is_right: npt.ArrayLike,
    n_bins: int = N_BINS,
    *,
    equal_mass: bool = False,
) -> float:
    """The mean distance of confidence and share right, bins weighed by what is in them; 0 to 1.

    NaN of nothing. Arguments: see `reliability_bins`.
    """
    bins = reliability_bins(confidences, is_right, n_bins, equal_mass=equal_mass)
    total = sum(one.count for one in bins)
    if not total:
        return float("nan")
    filled = (one for one in bins if one.count)
    return sum(one.count * abs(one.confidence - one.share_right) for one in filled) / total


def area_under_roc(confidences: npt.ArrayLike, is_right: npt.ArrayLike) -> float:
    """The probability that something right has a higher confidence than something wrong.

    NaN where all is right, or all wrong. Arguments: see `reliability_bins`.
    """
    from scipy.stats import rankdata

    right = np.asarray(is_right, dtype=bool)
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if not n_right or not n_wrong:
        return float("nan")
    ranks = rankdata(np.asarray(confidences, dtype=float))
    return float((ranks[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def judge_words(reference: str, words: Sequence[Word], language: str) -> list[tuple[Word, bool]]:
    """Every word that is something after normalisation, and whether it is right.

    Args:
        reference: what is said, as it is written.
        words: in order.
        language: a code.
    """
    pieces = [
        (n, piece)
        for n, word in enumerate(words)
        for piece in metrics.normalise(word.text, language).split()
    ]
    # Normalisation looks at neighbours ("twenty one" is 21), so it is the whole that is judged.
    whole = metrics.normalise("".join(word.text for word in words), language)
    expected = metrics.normalise(reference, language)
    if not pieces or not whole or not expected:
        return [(words[n], False) for n in dict.fromkeys(n for n, _ in pieces)]
    is_right = np.zeros(len(whole.split()), dtype=bool)
    for part in metrics.word_errors([(expected, whole)]).alignments[0]:
        if part.type == "equal":
            is_right[part.hyp_start_idx : part.hyp_end_idx] = True
    verdicts: dict[int, bool] = {}
    separate = " ".join(piece for _, piece in pieces)
    parts = metrics.word_errors([(whole, separate)]).alignments[0]
    for is_equal, group in groupby(parts, key=lambda part: bool(part.type == "equal")):
        several = [*group]
        first, last = several[0], several[-1]
        for at in range(first.hyp_start_idx, last.hyp_end_idx):
            spelt = is_right[first.ref_start_idx : last.ref_end_idx]
            if is_equal:
                spelt = spelt[at - first.hyp_start_idx :][:1]
            if spelt.size:
                owner = pieces[at][0]
                verdicts[owner] = verdicts.get(owner, True) and bool(spelt.all())
    return [(words[n], right) for n, right in sorted(verdicts.items())]


def parse() -> argparse.Namespace:
    parser = run.parser("python -m benchmarks.reliability", __doc__, "reliability.md")
    add = parser.add_argument
    add("--models", nargs="+", choices=MODELS, default=[*MODELS], help="of models/")
    add("--offsets", type=int, default=1, metavar="N", help="hear each recording N times")
    return parser.parse_args()


def hear(
    runner: run.Runner, options: argparse.Namespace, clips: Sequence[corpus.Clip]
) -> dict[str, dict[str, list[tuple[float, bool]]]]:
    """Each word's probability, and whether it is right, by model and recording."""
    offsets_s = [n * OFFSET_STEP_S for n in range(options.offsets)]
    entries = [
        Entry(name, partial(OurRecogniser, options.precision[0], asr_model=MODELS[name]))
        for name in options.models
        if run.is_wanted(name, options)
    ]
    names = [clip.name for clip in clips]
    results = runner.measure(entries, names, warm_up=None, offsets_s=offsets_s)
    return {
        model: {
            clip.name: [
                (word.probability, right)
                for heard in found[clip.name].hypotheses
                for word, right in judge_words(clip.transcript, heard.words, clip.language)
            ]
            for clip in clips
        }
        for model, found in results.items()
    }


def tables(judged: dict[str, dict[str, list[tuple[float, bool]]]]) -> Iterator[str]:
    """The report's parts: the bins of all words, and the errors by recording."""
    rows, figures = [], []
    for model, recordings in judged.items():
        together = [pair for pairs in recordings.values() for pair in pairs]
        for one in reliability_bins(*_columns(together)):
            share = [number(value, 3) for value in (one.confidence, one.share_right)]
            rows.append([f"{one.low:.1f} to {one.high:.1f}", model, str(one.count), *share])
        for label, pairs in [*recordings.items(), ("all", together)]:
            figures.append([label, model, *_summary(pairs)])
    rows.sort(key=lambda row: row[0])
    head = ["probability", "", "words", "mean", "right"]
    yield f"## Reliability\n\n{run.markdown_table(head, rows)}"
    head = ["", "", "words", "right", "mean", "ECE", "ECE, equal mass", "AUC"]
    yield f"## Calibration\n\n{run.markdown_table(head, figures)}"


def _columns(pairs: Sequence[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [said for said, _ in pairs], [right for _, right in pairs]


def _summary(pairs: Sequence[tuple[float, bool]]) -> list[str]:
    if not pairs:
        return ["0", *[DASH] * 5]
    said, right = _columns(pairs)
    values = (
        float(np.mean(right)),
        float(np.mean(said)),
        expected_calibration_error(said, right),
        expected_calibration_error(said, right, equal_mass=True),
        area_under_roc(said, right),
    )
    return [str(len(pairs)), *(number(value, 3) for value in values)]


def main() -> None:
    options = parse()
    try:
        clips = [clip for clip in corpus.find_clips(options.recordings) if clip.transcript]
    except corpus.RecordingNotFoundError as error:
        sys.exit(f"error: {error}")
    runner = run.Runner(options.threads)
    judged = hear(runner, options, clips)
    offsets = f"Offsets: {options.offsets}. {run.describe_machine(options.threads)}"
    run.publish(options.out, "# Reliability", str(__doc__), offsets, mode="w")
    for table in tables(judged):
        run.publish(options.out, table)
    runner.finish()


if __name__ == "__main__":
    main()

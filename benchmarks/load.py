"""How a server bears callers: one at a time, many at once, arrivals at a rate, beside a long file.

    python -m benchmarks.load --url http://127.0.0.1:8000 --file clip.wav --rates 1 2 4

Arrivals are a Poisson process and wait for nobody (an open loop): callers who only come back when
they are answered would hide a queue.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import requests

from benchmarks.run import markdown_table

ROUTE = "/v1/audio/transcriptions"
MAX_OPEN = 512
TIMEOUT_S = 900.0
SEED = 7
COLUMNS = ["load", "right", "429", "other", "answers a second", "p50, s", "p95, s", "p99, s"]


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    status: int
    """0: no answer."""
    latency_s: float
    text: str


class Caller:
    """Sends one clip."""

    def __init__(self, url: str, file: Path, fields: Sequence[str]) -> None:
        self.url = url.rstrip("/") + ROUTE
        self.audio, self.name = file.read_bytes(), file.name
        given = [field.partition("=") for field in fields]
        self.fields = [("model", "whisper-1"), *((name, value) for name, _, value in given)]
        self._local = threading.local()

    def __call__(self) -> Answer:
        session = getattr(self._local, "session", None) or requests.Session()
        self._local.session = session
        started = time.monotonic()
        try:
            response = session.post(
                self.url,
                data=self.fields,
                files={"file": (self.name, self.audio)},
                timeout=TIMEOUT_S,
            )
        except requests.RequestException as error:
            return Answer(0, time.monotonic() - started, str(error))
        seconds = time.monotonic() - started
        text = response.json().get("text", "") if response.ok else response.text
        return Answer(response.status_code, seconds, text)


def closed(call: Callable[[], Answer], n_callers: int, duration_s: float) -> list[Answer]:
    """So many callers, each of whom calls again when answered, until time is up."""
    end = time.monotonic() + duration_s

    def one() -> list[Answer]:
        answers = []
        while time.monotonic() < end:
            answers.append(call())
        return answers

    with ThreadPoolExecutor(n_callers) as pool:
        return [a for job in [pool.submit(one) for _ in range(n_callers)] for a in job.result()]


def arriving(call: Callable[[], Answer], rate_hz: float, duration_s: float) -> list[Answer]:
    """Callers who arrive at a rate, and wait for nobody."""
    intervals = random.Random(SEED)
    begin, at = time.monotonic(), 0.0
    with ThreadPoolExecutor(MAX_OPEN) as pool:
        jobs = []
        while (at := at + intervals.expovariate(rate_hz)) < duration_s:
            time.sleep(max(0.0, begin + at - time.monotonic()))
            jobs.append(pool.submit(call))
        return [job.result() for job in jobs]


def row(name: str, answers: Sequence[Answer], seconds: float, right: str) -> list[str]:
    """A table's row: of the right answers, rate and percentiles."""
    statuses = Counter(answer.status for answer in answers)
    good = [answer.latency_s for answer in answers if answer.status == 200 and answer.text == right]
    others = len(answers) - len(good) - statuses[429]
    percentiles = [f"{np.percentile(good, p):.2f}" if good else "–" for p in (50, 95, 99)]
    counts = [str(len(good)), str(statuses[429]), str(others)]
    return [name, *counts, f"{len(good) / seconds:.2f}", *percentiles]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--url", required=True)
    add("--file", type=Path, required=True, help="what every caller sends")
    add("--field", action="append", default=[], help="name=value, for every caller")
    add("--callers", type=int, nargs="*", default=[1, 16], help="closed loops of so many")
    add("--rates", type=float, nargs="*", default=[], help="arrivals a second")
    add("--duration", type=float, default=20.0, help="seconds a load")
    add("--beside", type=Path, help="a long file that is sent before each load")
    options = parser.parse_args()
    call = Caller(options.url, options.file, options.field)
    right = call().text
    long = Caller(options.url, options.beside, options.field) if options.beside else None
    loads: Mapping[str, Callable[[], list[Answer]]] = {
        f"{n} callers": partial(closed, call, n, options.duration) for n in options.callers
    } | {
        f"{rate:g} arrivals a second": partial(arriving, call, rate, options.duration)
        for rate in options.rates
    }
    rows = []
    for name, load in loads.items():
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(long) if long else None
            started = time.monotonic()
            answers = load()
            rows.append(row(name, answers, time.monotonic() - started, right))
            if beside is not None:
                answer = beside.result()
                rows.append([f"the long file beside {name}", str(answer.status), "", "", "",
                             f"{answer.latency_s:.1f}", "", ""])  # fmt: skip
        print(markdown_table(COLUMNS, rows[-2:] if long else rows[-1:]), flush=True)
    print(markdown_table(COLUMNS, rows))


if __name__ == "__main__":
    main()

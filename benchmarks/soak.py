"""Whether a server stays as it is: good and bad requests in turn, its memory before and after.

    python -m benchmarks.soak --url http://127.0.0.1:5000 --pid 4711 --requests 500

Ends with 1 if at the end the server and its children hold over 3 % more memory than after the first
50 requests, if threads or descriptors were lost, or if a request is answered otherwise than it
should be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tools.fuzz.mutations import mutate
from tools.fuzz.seeds import CLIPS, corpus
from tools.fuzz.target import memory_mb
from tools.fuzz.watch import descendants

WARM_UP_REQUESTS = 50
READING_REQUESTS = 10
WINDOW_READINGS = 5
"""Pools of threads breathe: the most of some readings is compared with the least of some later."""
MAX_GROWTH = 0.03
TIMEOUT_S = 120.0
AUDIO, JSON = {"Content-Type": "audio/wav"}, {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Holdings:
    """What a process and its children hold."""

    memory_mb: float
    n_threads: int
    n_descriptors: int

    @classmethod
    def of(cls, process: int) -> Holdings:
        """Those of a process now; descriptors and threads are its own."""
        everybody = (process, *descendants(process))
        return cls(
            sum(memory_mb(one, "VmRSS") for one in everybody),
            len(list(Path(f"/proc/{process}/task").iterdir())),
            len(list(Path(f"/proc/{process}/fd").iterdir())),
        )


@dataclass(frozen=True)
class Sent:
    """A request, and whether it must be served (True), refused (False), or either (None)."""

    body: bytes
    headers: dict[str, str]
    query: str = ""
    good: bool | None = True


def mixture() -> Iterator[Sent]:
    """Good and bad requests without end, the same at every call."""
    files = corpus()
    clips = [(CLIPS / name).read_bytes() for name in ("austen.flac", "kennedy.ogg")]
    number = 0
    while True:
        number += 1
        yield Sent(clips[number % 2], AUDIO)
        yield Sent(mutate(files, number), AUDIO, good=None)
        yield Sent(files[number % len(files)], AUDIO, "?return_timestamps=word&batch_size=4", None)
        yield Sent(files[0], AUDIO, "?batch_size=0", good=False)
        yield Sent(b'{"inputs": "this is not base64!"}', JSON, good=False)
        yield Sent(b'{"inputs": [[[[[[[17]]]]]]]}', JSON, good=False)
        yield Sent(b"ffconcat version 1.0\nfile secret.wav\n" * 20, AUDIO, good=False)
        yield Sent(b"{", JSON, good=False)


def main() -> int:
    """Run; 1 if the server grew or answered wrongly."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--requests", type=int, default=500)
    wishes = parser.parse_args()
    statuses, wrong, slowest_s, readings = Counter[int](), 0, 0.0, list[Holdings]()
    with requests.Session() as session:
        for number, sent in zip(range(1, wishes.requests + 1), mixture(), strict=False):
            started = time.monotonic()
            url = wishes.url + "/" + sent.query
            answer = session.post(url, sent.body, headers=sent.headers, timeout=TIMEOUT_S)
            slowest_s = max(slowest_s, time.monotonic() - started)
            statuses[answer.status_code] += 1
            if sent.good not in (None, answer.status_code == 200):
                wrong += 1
                print(f"request {number}: {answer.status_code} {answer.text[:200]}")
            if number >= WARM_UP_REQUESTS and number % READING_REQUESTS == 0:
                readings.append(Holdings.of(wishes.pid))
            if number in (WARM_UP_REQUESTS, wishes.requests) or number % 100 == 0:
                print(f"after {number:4}: {readings[-1:]}", flush=True)
    print(f"statuses {dict(statuses)}, wrong {wrong}, slowest {slowest_s:.1f} s")
    return int(wrong > 0 or has_grown(readings))


def has_grown(readings: Sequence[Holdings]) -> bool:
    """Whether a server holds more at the last readings than it did at the first."""
    first, last = readings[:WINDOW_READINGS], readings[-WINDOW_READINGS:]
    return (
        last[-1].memory_mb > first[0].memory_mb * (1 + MAX_GROWTH)
        or min(one.n_threads for one in last) > max(one.n_threads for one in first)
        or min(one.n_descriptors for one in last) > max(one.n_descriptors for one in first)
    )


if __name__ == "__main__":
    sys.exit(main())

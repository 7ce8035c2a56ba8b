"""Whether a server of many callers stays as it is: good, bad, cancelled and cut requests at once.

    python -m benchmarks.server_soak --url http://127.0.0.1:8000 --pid 4711 --log server.log

Ends with 1 if a good request is answered otherwise than it is alone, if the server holds over 5 %
more memory at the end than after warming up, or more threads or descriptors, or if its log or its
metrics hold words of a transcript, a key or a file's name.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from benchmarks.load import ROUTE
from benchmarks.soak import Holdings
from tools.fuzz.seeds import CLIPS

N_CALLERS = 16
SHARES = {"good": 0.8, "bad": 0.1, "cancelled": 0.05, "cut": 0.05}
MAX_GROWTH = 0.05
WARM_UP = 0.1
"""This part of the requests comes before the first reading."""
TIMEOUT_S = 600.0
PATIENCE_S = 0.3
SEED = 3
SECRET_NAME, KEY = "gespraech-mit-frau-mueller", "sk-soak-0123456789abcdef"
WISHES: tuple[dict[str, str], ...] = (
    {},
    {"response_format": "verbose_json", "timestamp_granularities[]": "word"},
    {"language": "en", "prompt": "A speech."},
    {"response_format": "srt"},
    {"response_format": "diarized_json"},
)
BAD: tuple[tuple[dict[str, str], bytes], ...] = (
    ({}, b"no audio at all"),
    ({"temperature": "9"}, b"RIFF"),
    ({"language": "klingon"}, b"RIFF"),
    ({}, b""),
)


class Soak:
    """Callers, and what they have seen."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url.rstrip("/")
        self.clips = [(CLIPS / name).read_bytes() for name in ("austen.flac", "kennedy.ogg")]
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._cases = [(clip, wish) for clip in self.clips for wish in WISHES]
        # Alone, one after the other.
        self._expected = [self._post(clip, wish).text for clip, wish in self._cases]

    @property
    def words(self) -> set[str]:
        """Of the transcripts: long enough to be nobody else's."""
        plain = zip(self._cases, self._expected, strict=True)
        texts = [json.loads(answer)["text"] for (_, wish), answer in plain if not wish]
        return {word for text in texts for word in re.findall(r"[A-Za-z]{6,}", text)}

    def one(self) -> None:
        """One request of a kind drawn by its share."""
        with self._lock:
            (kind,) = self._random.choices([*SHARES], [*SHARES.values()])
            choice = self._random.randrange(10_000)
        acts: dict[str, Callable[[int], str]] = {
            "bad": self._bad,
            "cancelled": self._cancelled,
            "cut": self._cut,
            "good": self._good,
        }
        outcome = acts[kind](choice)
        with self._lock:
            self.seen[f"{kind}: {outcome}"] += 1

    def _good(self, choice: int) -> str:
        n = choice % len(self._cases)
        clip, wish = self._cases[n]
        response = self._post(clip, wish)
        if response.status_code == 429:
            time.sleep(min(5.0, float(response.headers["Retry-After"])))
            return "429"
        if response.status_code != 200 or response.text != self._expected[n]:
            self.wrong.append(f"{response.status_code} {wish} {response.text[:300]}")
            return "wrong"
        return "right"

    def _bad(self, choice: int) -> str:
        fields, audio = BAD[choice % len(BAD)]
        status = self._post(audio, fields).status_code
        if status not in (400, 413, 415, 429):
            self.wrong.append(f"bad request answered {status}")
        return str(status)

    def _cancelled(self, choice: int) -> str:
        try:
            self._post(self.clips[choice % 2], {}, timeout_s=PATIENCE_S)
        except requests.RequestException:
            return "hung up"
        return "answered before"

    def _cut(self, choice: int) -> str:
        with self._post(self.clips[choice % 2], {"stream": "true"}, stream=True) as response:
            for _ in response.iter_content(16):
                break
        return str(response.status_code)

    def _post(
        self,
        audio: bytes,
        fields: dict[str, str],
        timeout_s: float = TIMEOUT_S,
        *,
        stream: bool = False,
    ) -> requests.Response:
        return requests.post(
            self.url + ROUTE,
            data={"model": "whisper-1", **fields},
            files={"file": (f"{SECRET_NAME}.wav", audio)},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=timeout_s,
            stream=stream,
        )


def leaks(soak: Soak, texts: dict[str, str]) -> list[str]:
    """Where something stands that should not."""
    secrets = {*soak.words, SECRET_NAME, KEY}
    return [
        f"{place}: {secret}"
        for place, text in texts.items()
        for secret in secrets
        if secret in text
    ]


def main() -> int:
    """Run; 1 if anything was lost, wrong or told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server_soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--url", required=True)
    add("--pid", type=int, required=True, help="the server's process")
    add("--log", type=Path, required=True, help="what it writes")
    add("--requests", type=int, default=2000)
    options = parser.parse_args()
    soak = Soak(options.url, SEED)
    n_before = round(options.requests * WARM_UP)
    started = time.monotonic()
    with ThreadPoolExecutor(N_CALLERS) as pool:
        list(pool.map(lambda _: soak.one(), range(n_before)))
        first = settled(options.pid)
        list(pool.map(lambda _: soak.one(), range(options.requests - n_before)))
    last = settled(options.pid)
    metrics = requests.get(
        f"{options.url}/metrics", headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    ).text
    told = leaks(soak, {"log": options.log.read_text(errors="replace"), "metrics": metrics})
    print(f"{dict(sorted(soak.seen.items()))} in {time.monotonic() - started:.0f} s")
    print(f"after {n_before}: {first}\nat the end: {last}")
    print(*soak.wrong[:10], *told, sep="\n")
    grown = (
        last.memory_mb > first.memory_mb * (1 + MAX_GROWTH)
        or last.n_threads > first.n_threads
        or last.n_descriptors > first.n_descriptors
    )
    return int(grown or bool(soak.wrong) or bool(told))


def settled(pid: int) -> Holdings:
    """What the server holds once nothing is at work any more."""
    holdings = Holdings.of(pid)
    for _ in range(20):
        time.sleep(1.0)
        before, holdings = holdings, Holdings.of(pid)
        if before == holdings:
            break
    return holdings


if __name__ == "__main__":
    sys.exit(main())

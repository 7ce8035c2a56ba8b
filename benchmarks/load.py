"""The endpoint under load: real HTTP requests to a server in another process, and how long their answers take.

The clips of 8 and 60 s, assisted or not, and the percentiles are those of the benchmark that Hugging Face published
with the original endpoint (https://huggingface.co/blog/asr-diarization).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import requests

from benchmarks import child
from benchmarks.process import rss_mb
from benchmarks.recordings import DATA, find_recordings, wav
from benchmarks.section import Found, Options, Section, markdown_table, number

PERCENTILES = (50, 90, 95, 99)
TIMEOUT_S = 600


@dataclass(frozen=True)
class Case:
    """Requests of one kind, from callers that each wait for an answer before they ask again."""

    clip_s: int
    assisted: bool
    speakers: bool
    callers: int
    requests: int

    @property
    def name(self) -> str:
        what = "words and speakers" if self.speakers else "words"
        return f"{self.clip_s} s, {what}{', assisted' if self.assisted else ''}"


def cases(quick: bool) -> Iterator[Case]:
    """What is asked of the server, in order."""
    few = 5 if quick else 1
    for callers in (1,) if quick else (1, 4):
        for clip_s, count in ((8, 100), (60, 30)):
            for assisted in (False, True):
                yield Case(clip_s, assisted, False, callers, count // few)
    yield Case(8, False, True, 1, 30 // few)
    yield Case(60, False, True, 1, 10 // few)


def clips() -> dict[int, bytes]:
    """The audio by its seconds: the original benchmark's clip of 8 s, and a minute of a telephone conversation."""
    (phone_call,) = find_recordings(DATA, ["phone_call"])
    return {
        8: (DATA / "formats" / "benchmark_8s.wav").read_bytes(),
        60: wav(np.tile(phone_call.waveform, 2)),
    }


@contextmanager
def served(threads: int) -> Iterator[tuple[str, int]]:
    """The address of a running endpoint with every model, and the id of its process."""
    environment = child.environment(threads) | {
        "ASR_MODEL": child.ASR_MODEL,
        "ASSISTANT_MODEL": child.ASSISTANT_MODEL,
        "DIARIZATION_MODEL": child.DIARIZATION_MODEL,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"],
        cwd=child.REPOSITORY,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        ready = next((line for line in process.stdout if line.startswith(child.MARK)), None)
        if ready is None:
            raise RuntimeError(f"the server did not start (it ended with {process.wait()})")
        port = json.loads(ready.removeprefix(child.MARK))["port"]
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.stdin.close()
        process.wait(60)


def ask(session: requests.Session, url: str, body: str) -> float:
    """Seconds until a request is answered.

    Raises:
        RuntimeError: the answer is an error.
    """
    started = time.perf_counter()
    response = session.post(
        url, data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT_S
    )
    seconds = time.perf_counter() - started
    if response.status_code != 200:
        raise RuntimeError(f"the server answered {response.status_code}: {response.text[:200]}")
    return seconds


def run_case(case: Case, audio: bytes, url: str) -> Found:
    """Put one case to the server."""
    parameters: dict[str, Any] = {
        "assisted": case.assisted,
        "diarize": case.speakers,
        "return_timestamps": "word",
    }
    body = json.dumps({"inputs": base64.b64encode(audio).decode(), "parameters": parameters})
    sessions = [requests.Session() for _ in range(case.callers)]
    ask(sessions[0], url, body)
    share = -(-case.requests // case.callers)

    def caller(session: requests.Session) -> list[float]:
        return [ask(session, url, body) for _ in range(share)]

    started = time.perf_counter()
    with ThreadPoolExecutor(case.callers) as pool:
        seconds = [s for part in pool.map(caller, sessions) for s in part]
    elapsed = time.perf_counter() - started
    return {
        "name": case.name,
        **asdict(case),
        "requests": len(seconds),
        "seconds": seconds,
        "mean": float(np.mean(seconds)),
        **{f"p{q}": float(np.percentile(seconds, q)) for q in PERCENTILES},
        "requests_per_s": len(seconds) / elapsed,
        "audio_s_per_s": len(seconds) * case.clip_s / elapsed,
    }


def measure(options: Options) -> Found:
    """The section of the benchmark."""
    audio = clips()
    with served(options.threads) as (url, process_id):
        found = [
            run_case(case, audio[case.clip_s], url)
            for case in cases(options.quick)
            if options.wants(case.name)
        ]
        return {"cases": found, "server_rss_mb": rss_mb(process_id)}


def tables(found: Found) -> str:
    rows = [
        [
            case["name"],
            str(case["callers"]),
            str(case["requests"]),
            number(case["mean"]),
            *(number(case[f"p{q}"]) for q in PERCENTILES),
            number(case["requests_per_s"]),
            number(case["audio_s_per_s"], 0),
        ]
        for case in found["cases"]
    ]
    head = [
        "seconds until the answer",
        "callers",
        "requests",
        "mean",
        *(f"p{q}" for q in PERCENTILES),
    ]
    table = markdown_table([*head, "requests/s", "audio s/s"], rows)
    note = "The host serves one request at a time: with four callers, three wait. Callers and server share the machine."
    return f"{table}\n\n{note} The server's memory afterwards: {found['server_rss_mb']:.0f} MB."


SECTION = Section("load", "Load over HTTP", measure, tables)

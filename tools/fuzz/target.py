"""What is fuzzed, in a process of its own, so that its death is seen, and what it takes."""

from __future__ import annotations

import logging
import os
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from speech_endpoint.errors import InvalidRequest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MAX_MESSAGE_CHARACTERS = 2_000
# What no caller may read: control characters, half characters, tracebacks, where things lie here.
UNCLEAN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]|Traceback|/tmp/|/proc/|" + str(REPOSITORY)
)

# A crash, a hang or a mistake of ours that the decoding process kept to itself: worth a look.
STOPPED = re.compile(r"damaged or crafted|ended without a result")

Target = Callable[[Any], float]
"""Takes an input, gives the seconds of sound that it answered for, and raises what it refuses."""


@dataclass(frozen=True)
class Reply:
    """How an input ended."""

    outcome: str
    """"served", "refused: CODE", or else a finding."""
    detail: str
    audio_s: float
    grown_mb: float
    """The most memory that the process had while it worked, less what it had before."""
    n_descriptors: int
    n_threads: int


def decoding(max_audio_s: float) -> Target:
    """The decoding of a file, alone."""
    from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
    from speech_endpoint.audio.decoding.sandbox import AudioDecoder
    from speech_endpoint.audio.payload import payload_bytes

    decoder = AudioDecoder()

    def decode(inputs: bytes) -> float:
        payload = payload_bytes(inputs, 512 * 2**20)
        return decoder(payload, DecodingOptions(max_audio_s)).channels.shape[1] / 16_000

    return decode


def requests(max_audio_s: float) -> Target:
    """Whole requests, by the host's door, with the smallest model."""
    os.environ |= {
        "ASR_MODEL": "models/whisper-tiny.en",
        "MAX_AUDIO_S": str(max_audio_s),
        "HF_HUB_OFFLINE": "1",
    }
    for name in ("ASSISTANT_MODEL", "DIARIZATION_MODEL", "HF_TOKEN"):
        os.environ.pop(name, None)
    from handler import EndpointHandler

    handler = EndpointHandler(str(REPOSITORY))

    def answer(data: Any) -> float:
        answer = handler(data)
        orjson.dumps(answer)
        _check_times(answer)
        return float(answer["duration"])

    return answer


def serve(
    connection: Connection,
    make_target: Callable[[float], Target],
    directory: str,
    max_audio_s: float,
) -> None:
    """Answer the inputs that come through a connection with a Reply each, until it is closed.

    Args:
        connection: to the watch.
        make_target: `decoding` or `requests`.
        directory: the working directory.
        max_audio_s: the endpoint's limit.
    """
    # Thousands of refused requests are the purpose; what matters of them comes in the reply.
    logging.disable(logging.CRITICAL)
    os.chdir(directory)
    target = make_target(max_audio_s)
    connection.send("ready")
    while True:
        try:
            inputs = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        connection.send(try_input(target, inputs))


def try_input(target: Target, inputs: Any) -> Reply:
    """Give a target an input, in this process."""
    # Makes the kernel forget the most memory there was.
    Path("/proc/self/clear_refs").write_text("5")
    before_mb = memory_mb("self", "VmRSS")
    audio_s, detail = 0.0, ""
    try:
        audio_s = target(inputs)
        outcome = "served"
    except InvalidRequest as error:
        detail = str(error)
        unclean = UNCLEAN.search(detail) or len(detail) > MAX_MESSAGE_CHARACTERS
        code = "by the sandbox" if STOPPED.search(detail) else error.code
        outcome = "unclean message" if unclean else f"refused: {code}"
    except BaseException as error:
        outcome, detail = f"crash: {type(error).__name__}", traceback.format_exc(limit=-4)
    return Reply(
        outcome,
        detail[:MAX_MESSAGE_CHARACTERS],
        audio_s,
        memory_mb("self", "VmHWM") - before_mb,
        len(os.listdir("/proc/self/fd")),
        len(os.listdir("/proc/self/task")),
    )


def memory_mb(process: int | str, what: str) -> float:
    """VmRSS (now) or VmHWM (at most) of a process, MiB; 0 of one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def _check_times(answer: dict[str, Any]) -> None:
    latest = 0.0
    for chunk in answer["chunks"]:
        start, end = chunk["timestamp"]
        if not latest <= start <= end <= answer["duration"]:
            raise AssertionError(f"a chunk from {start} to {end} after {latest}")
        latest = start

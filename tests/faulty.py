"""Targets for the fuzzer that do what none may do."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any


def faulty(max_audio_s: float):
    """A target that does what its input says."""

    def obey(inputs: Any) -> float:
        match inputs:
            case "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                signal.pause()
            case "grow":
                bytearray(b"x") * 2**26
            case "raise":
                raise KeyError("inputs")
            case "read", name:
                Path(name).read_bytes()
            case "call", port:
                socket.create_connection(("127.0.0.1", port)).close()
        return 1.0

    return obey

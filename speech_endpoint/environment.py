"""What an endpoint is started in: values as consoles hand them over, and what a container lacks."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

from pydantic_core import ErrorDetails

from speech_endpoint.errors import ModelUnavailable, quoted, without_tokens

SHARED_MEMORY = "/dev/shm"
INFINITY = ("inf", "+inf", "infinity", "+infinity")
HINTS = {"device": "auto, cpu, cuda, cuda:0, … (or mps, xpu)"}


# PyTorch reads this when it is imported; both its names, of versions before and from 2.9 on.
# Recordings and batches of all sizes leave a GPU's memory in pieces otherwise.
ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
if not any(name in os.environ for name in ALLOCATOR):
    os.environ |= dict.fromkeys(ALLOCATOR, "expandable_segments:True")


def unquoted(value: str) -> str:
    """A value without the blanks and the one pair of quotes around it."""
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    return value


def is_unset(name: str, value: str) -> bool:
    """Whether a cleaned value says no more than that there is none."""
    # To these two, one of the words that mean "unset" elsewhere means something.
    meaningful = {"quantization": ("none",), "cuda_visible_devices": ("",)}
    return value.lower() in ("", "none", "null") and value.lower() not in meaningful.get(
        name.lower(), ()
    )


def describe_setting(problem: ErrorDetails) -> str:
    """One of pydantic's errors as a sentence that quotes no secret."""
    field = str(problem["loc"][0]).lower() if problem["loc"] else "settings"
    if field in ("hf_token", "hf_hub_token"):
        reason = problem["ctx"]["error"] if "error" in problem.get("ctx", {}) else "expected a text"
        return f"HF_TOKEN: {reason}"
    message = f"expected {HINTS[field]}" if field in HINTS else problem["msg"]
    given = without_tokens(quoted(problem["input"]))
    return f"{field.upper()}: {message.removeprefix('Value error, ')} (got {given})"


def provide_temporary_directory() -> None:
    """Name a place for temporary files where there is none: any container has shared memory.

    matplotlib and torch's compiler, which pyannote imports and nobody here uses, cannot even be
    imported without one.

    Raises:
        ModelUnavailable: nothing can be written to.
    """
    try:
        os.rmdir(tempfile.mkdtemp())
        return
    except OSError:
        pass
    try:
        directory = tempfile.mkdtemp(dir=SHARED_MEMORY)
    except OSError:
        raise ModelUnavailable(
            "DIARIZATION_MODEL needs a directory for temporary files, and none can be written to;"
            " mount one at /tmp, or set TMPDIR"
        ) from None
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    tempfile.tempdir = directory


def provide_home() -> None:
    """Name a home and a name for a user that the system does not know: pyannote asks for the one
    at import, torch's compiler for the other.
    """
    try:
        Path.home()
    except RuntimeError:
        # As container engines do.
        os.environ["HOME"] = "/"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "nobody"


def refuse_telemetry() -> None:
    """Keep onnxruntime from reporting its use: from 1.29 on it does so, unless told otherwise.

    pyannote imports it where it is installed; nobody here uses it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

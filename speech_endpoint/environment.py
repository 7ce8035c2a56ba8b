"""Values of environment variables, as consoles and .env files hand them over; reads none itself."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from speech_endpoint.errors import quoted, without_tokens

INFINITY = ("inf", "+inf", "infinity", "+infinity")
HINTS = {"device": "auto, cpu, cuda, cuda:0, … (or mps, xpu)"}


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

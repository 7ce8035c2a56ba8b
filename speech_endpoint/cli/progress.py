"""What is shown while files are transcribed: on standard error, never on standard output."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Protocol

from tqdm import tqdm

from speech_endpoint.cli.recognisers import Advance

MIN_ELAPSED_S = 1e-3
TAIL_CHARS = 48
"""Of the newest text, on the bar."""


class Progress(Protocol):
    """Told of each file once how it ended, from any thread."""

    def begin(self) -> None:
        """Work begins now: models are loaded."""
        ...

    def advance(self, name: str, advance: Advance) -> None: ...

    def warned(self, name: str, warning: str) -> None: ...

    def done(self, name: str, duration_s: float) -> None: ...

    def skipped(self, name: str) -> None: ...

    def failed(self, name: str, reason: str) -> None: ...

    def close(self) -> None: ...


class Bar:
    """One bar over all files with the time left, the rate, and of a single file its newest text.

    How long a recording is, is known only when it is decoded; its size is known before: files count
    by their sizes.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """
        Args:
            sizes: bytes of each file that is to be done, by name.
        """
        self._sizes = {name: max(1, size) for name, size in sizes.items()}
        self._reached = dict.fromkeys(sizes, 0.0)
        """Share of each file that is done."""
        self._audio_s = dict.fromkeys(sizes, 0.0)
        self._n_over, self._text = 0, ""
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=sum(self._sizes.values()),
            file=sys.stderr,
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            dynamic_ncols=True,
            # The time left is of the mean rate, not of the last file's; each change is shown.
            smoothing=0.0,
            miniters=0,
            leave=False,
        )

    def begin(self) -> None:
        self._bar.reset()

    def advance(self, name: str, advance: Advance) -> None:
        if advance.duration_s:
            self._text = printable((self._text + advance.text)[-TAIL_CHARS:])
            self._reach(name, advance.done_s / advance.duration_s, advance.done_s)

    def warned(self, name: str, warning: str) -> None:
        self._write(name, warning)

    def done(self, name: str, duration_s: float) -> None:
        self._over(name, duration_s)
        if len(self._sizes) > 1:
            self._write(name, f"{duration_s:.0f} s of audio")

    def skipped(self, name: str) -> None:
        pass

    def failed(self, name: str, reason: str) -> None:
        self._over(name, self._audio_s[name])
        self._write(name, reason)

    def close(self) -> None:
        self._bar.close()

    def _over(self, name: str, audio_s: float) -> None:
        self._n_over += 1
        self._reach(name, 1.0, audio_s)

    def _reach(self, name: str, share: float, audio_s: float) -> None:
        with self._lock:
            forward = min(share, 1.0) - self._reached[name]
            self._reached[name] += forward
            self._audio_s[name] = audio_s
            rate = sum(self._audio_s.values()) / max(
                MIN_ELAPSED_S, self._bar.format_dict["elapsed"]
            )
            n_files = len(self._sizes)
            what = self._text if n_files == 1 else f"{self._n_over} of {n_files} files"
            self._bar.set_postfix_str(f"{rate:.1f} × real time, {what}", refresh=False)
            self._bar.update(forward * self._sizes[name])

    def _write(self, name: str, text: str) -> None:
        self._bar.write(f"{printable(name)}: {text}", file=sys.stderr)


def printable(text: str) -> str:
    """A text on one line that cannot steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


class Lines:
    """One line a file, without control codes: for logs."""

    def __init__(self, total: int) -> None:
        self._total, self._n, self._lock = total, 0, threading.Lock()

    def begin(self) -> None:
        pass

    def advance(self, name: str, advance: Advance) -> None:
        pass

    def warned(self, name: str, warning: str) -> None:
        print(f"{printable(name)}: {warning}", file=sys.stderr, flush=True)

    def done(self, name: str, duration_s: float) -> None:
        self._write(name, f"{duration_s:.0f} s of audio")

    def skipped(self, name: str) -> None:
        self._write(name, "there already")

    def failed(self, name: str, reason: str) -> None:
        self._write(name, reason)

    def close(self) -> None:
        pass

    def _write(self, name: str, text: str) -> None:
        with self._lock:
            self._n += 1
            print(
                f"[{self._n}/{self._total}] {printable(name)}: {text}", file=sys.stderr, flush=True
            )


class JsonLines:
    """One JSON object a file, and for each advance, for other programs."""

    def begin(self) -> None:
        pass

    def advance(self, name: str, advance: Advance) -> None:
        self._write(file=name, status="working", **asdict(advance))

    def warned(self, name: str, warning: str) -> None:
        self._write(file=name, status="warning", reason=warning)

    def done(self, name: str, duration_s: float) -> None:
        self._write(file=name, status="done", duration_s=round(duration_s, 3))

    def skipped(self, name: str) -> None:
        self._write(file=name, status="skipped")

    def failed(self, name: str, reason: str) -> None:
        self._write(file=name, status="failed", reason=reason)

    def close(self) -> None:
        pass

    def _write(self, **fields: object) -> None:
        sys.stderr.write(json.dumps(fields) + "\n")
        sys.stderr.flush()


class Quiet:
    """Only what went wrong."""

    def begin(self) -> None:
        pass

    def advance(self, name: str, advance: Advance) -> None:
        pass

    def warned(self, name: str, warning: str) -> None:
        print(f"{printable(name)}: {warning}", file=sys.stderr, flush=True)

    def done(self, name: str, duration_s: float) -> None:
        pass

    def skipped(self, name: str) -> None:
        pass

    def failed(self, name: str, reason: str) -> None:
        print(f"{printable(name)}: {reason}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass

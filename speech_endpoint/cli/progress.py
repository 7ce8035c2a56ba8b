"""What is shown while files are transcribed: on standard error, never on standard output."""

from __future__ import annotations

import json
import sys
import threading
from typing import Protocol

from tqdm import tqdm


class Progress(Protocol):
    """Told of each file once, from any thread."""

    def done(self, name: str, duration_s: float) -> None: ...

    def skipped(self, name: str) -> None: ...

    def failed(self, name: str, reason: str) -> None: ...

    def close(self) -> None: ...


class Bar:
    """One bar over all files, by their bytes, with the time left; a line for each that fails.

    How long a recording is, is known only when it is decoded; its size is known before.
    """

    def __init__(self, sizes: dict[str, int]) -> None:
        """
        Args:
            sizes: bytes of each file, by name.
        """
        self._sizes = sizes
        self._bar = tqdm(total=sum(sizes.values()), unit="B", unit_scale=True, file=sys.stderr)

    def done(self, name: str, duration_s: float) -> None:
        self._bar.update(self._sizes.get(name, 0))
        self._bar.write(f"{name}: {duration_s:.0f} s of audio", file=sys.stderr)

    def skipped(self, name: str) -> None:
        self._bar.update(self._sizes.get(name, 0))

    def failed(self, name: str, reason: str) -> None:
        self._bar.update(self._sizes.get(name, 0))
        self._bar.write(f"{name}: {reason}", file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


class Lines:
    """One line a file, without control codes: for logs."""

    def __init__(self, total: int) -> None:
        self._total, self._n, self._lock = total, 0, threading.Lock()

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
            print(f"[{self._n}/{self._total}] {name}: {text}", file=sys.stderr, flush=True)


class JsonLines:
    """One JSON object a file, for other programs."""

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

    def done(self, name: str, duration_s: float) -> None:
        pass

    def skipped(self, name: str) -> None:
        pass

    def failed(self, name: str, reason: str) -> None:
        print(f"{name}: {reason}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass

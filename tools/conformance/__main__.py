"""Asks a server of OpenAI's audio API what its clients ask; see docs/conformance.md.

    python -m tools.conformance http://127.0.0.1:8000 --key a-secret

Prints a table. Ends with 1 if a row fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from pathlib import Path

import imageio_ffmpeg

from tools.conformance import errors, fields, formats, node_clients, recorded, sdks, streams
from tools.conformance.row import HEAD, line, run
from tools.conformance.target import SAMPLE_RATE_HZ, Target

ROOMS = (sdks, node_clients, recorded, fields, formats, errors, streams)
ROWS = tuple(row for room in ROOMS for row in room.ROWS)
DIALECTS = tuple(dict.fromkeys(row.dialect for row in ROWS))
CLIP = Path(__file__).parents[2] / "tests" / "data" / "kennedy.ogg"


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url", help='of the server, without "/v1"')
    parser.add_argument("--key", default="none", help="the key to send")
    parser.add_argument("--dialect", choices=DIALECTS, action="append", help="these rows alone")
    wishes = parser.parse_args(arguments)
    target = Target(wishes.url.rstrip("/"), wishes.key, CLIP, samples_of(CLIP))
    rows = [row for row in ROWS if row.dialect in (wishes.dialect or DIALECTS)]
    counts = Counter[bool | None]()
    print(*HEAD, sep="\n", flush=True)
    for outcome in run(rows, target):
        print(line(outcome), flush=True)
        counts[outcome.passed] += 1
    print(f"\n{counts[True]} pass, {counts[False]} fail, {counts[None]} not run")
    return int(counts[False] > 0)


def samples_of(clip: Path) -> bytes:
    """A recording as 16 bit samples, mono."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip),
        "-f", "s16le", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())

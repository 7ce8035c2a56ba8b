"""Runs a command under strace, and fails if it opens the fuzzer's canary or reaches for a network.

    python -m tools.canary -- python -m tools.fuzz --files 1000 --requests 500

strace sees what a library does behind Python's back. A listener on a port that the system chooses
is no finding: the canary is one itself, and so are the servers of tests.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools.fuzz.bait import FILE_NAME

CALLS = "open,openat,openat2,connect,bind,sendto,sendmsg"
READ_CANARY = re.compile(rf'open\w*\([^"]*"[^"]*{re.escape(FILE_NAME)}"(?!.*O_WRONLY)')
BOUND = re.compile(r"bind\(.*AF_INET6?\b.*?port=htons\((?!0\))")
SENT = re.compile(r"(?:connect|sendto|sendmsg)\(.*AF_INET")


def findings(log: Iterable[str]) -> list[str]:
    """The lines of strace's log that show what must not be."""
    return [line for line in log if any(seen.search(line) for seen in (READ_CANARY, BOUND, SENT))]


def main() -> int:
    """Run the command line's command; give its own status if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tools.canary", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", nargs="+")
    command = parser.parse_args().command
    if not shutil.which("strace"):
        parser.error("strace is not installed; apt-get install strace")
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "300", "-e", f"trace={CALLS}"]
        status = subprocess.run([*strace, "-o", str(log), *command], check=False).returncode
        with log.open(errors="replace") as lines:
            n_calls = sum(1 for _ in lines)
        with log.open(errors="replace") as lines:
            found = findings(lines)
    print(f"canary: {n_calls:,} calls, {len(found)} of them forbidden")
    print("".join(found[:40]), end="")
    return 3 if found else status


if __name__ == "__main__":
    sys.exit(main())

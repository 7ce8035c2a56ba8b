"""Whether an archive comes out right when machines die, and what its driver holds.

    python -m benchmarks.archive expect SOURCE      one recording after the other, for the others
    python -m benchmarks.archive node SOURCE        two nodes; one is killed half-way
    python -m benchmarks.archive driver SOURCE      the command is killed half-way, and run again
    python -m benchmarks.archive memory             200 and 20,000 tiny recordings

In the environment of requirements-cluster.txt. A line of JSON each. Everything is written below
--work. "memory" transcribes nothing: a stand-in answers, so that the driver alone is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import ray
from ray.cluster_utils import Cluster

from speech_endpoint.archive.recognisers import Recogniser, load_models
from speech_endpoint.archive.recordings import Archive
from speech_endpoint.archive.run import Resources, connect, plan_on_cluster, transcribe
from speech_endpoint.archive.store import Store
from speech_endpoint.archive.tables import TRANSCRIPTS, Outcome, serialised, transcript_row
from speech_endpoint.archive.worker import Job
from speech_endpoint.config import ModelSettings
from speech_endpoint.transcript import Segment, Transcript, Word

NODE = {"num_cpus": 1, "object_store_memory": 150 * 2**20, "include_dashboard": False}
COLUMNS = ("file", "language", "text", "words")
"""Of a transcript, compared."""


class Counted:
    """Writes down what it is given, by which one sees what was done twice."""

    def __init__(self, ledger: Path, settings: ModelSettings, repository: str) -> None:
        self._ledger = ledger
        self._recogniser: Recogniser = load_models(settings, {}, repository)

    def transcribe(self, recordings: Mapping[str, bytes]) -> dict[str, Outcome]:
        with self._ledger.open("a") as stream:
            stream.write("".join(f"{name}\n" for name in recordings))
        return self._recogniser.transcribe(recordings)


class StandIn:
    """Answers without models."""

    def transcribe(self, recordings: Mapping[str, bytes]) -> dict[str, Outcome]:
        return {
            name: Transcript((Segment((Word(f" {len(audio)}", 0.0, 1.0),)),), duration_s=1.0)
            for name, audio in recordings.items()
        }


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, Any]]:
    """A cluster of two nodes on this machine, and the one that has no driver."""
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        yield cluster, cluster.add_node(num_cpus=1, object_store_memory=150 * 2**20)
    finally:
        ray.shutdown()
        cluster.shutdown()


def kill_with_children(pid: int) -> None:
    """SIGKILL, as when power fails: a node's manager and its workers."""
    pids = [pid, *_children(pid)]
    for each in pids:
        os.kill(each, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(stat.parent.name), *_children(int(stat.parent.name))]
    return found


def rows(dest: Path) -> list[dict[str, Any]]:
    """All transcripts of a destination."""
    parts = sorted((dest / "transcripts").glob("part-*"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def compared(dest: Path, expected: Mapping[str, Any]) -> dict[str, int]:
    """How the transcripts differ from those of a run in which nothing died."""
    found = rows(dest)
    counts = Counter(row["file"] for row in found)
    equal = sum({k: row[k] for k in COLUMNS} == expected.get(row["file"]) for row in found)
    return {
        "recordings": len(expected),
        "results": len(found),
        "equal": equal,
        "twice": sum(n > 1 for n in counts.values()),
        "lost": len(expected.keys() - counts.keys()),
        "errors": len(list((dest / "errors").glob("*"))),
    }


def expect(source: Path, work: Path) -> dict[str, Any]:
    """Transcribe each recording alone; the others compare with it."""
    recogniser = load_models(ModelSettings(), {}, ".")
    expected: dict[str, Any] = {}
    archive = Archive(str(source))
    for recording, audio in archive.read(list(archive.find())):
        outcome = recogniser.transcribe({recording.name: audio})[recording.name]
        assert isinstance(outcome, Transcript), outcome
        expected[recording.name] = transcript_row(recording.name, outcome)
    (work / "expected.json").write_text(json.dumps(expected))
    return {"recordings": len(expected)}


def expected_of(work: Path) -> dict[str, Any]:
    """What `expect` has found, in the columns that are compared, as Parquet gives them back."""
    found = json.loads((work / "expected.json").read_text())
    path = work / "expected.parquet"
    path.write_bytes(serialised(list(found.values()), TRANSCRIPTS, "parquet"))
    return {row["file"]: {k: row[k] for k in COLUMNS} for row in pq.read_table(path).to_pylist()}


def node(source: Path, work: Path) -> dict[str, Any]:
    """Kill one of two nodes when half of the recordings are done."""
    expected, dest, ledger = expected_of(work), work / "node", work / "ledger"
    make = partial(Counted, ledger, ModelSettings(), str(Path.cwd()))
    job = Job(Archive(str(source)), Store(str(dest), "parquet"), make)
    killed_at = None
    with two_nodes() as (cluster, second):
        connect(cluster.address)
        planned = plan_on_cluster(job, None, Resources(2))
        n_done = 0
        for block in transcribe(job, planned.n_pending, Resources(2)):
            n_done += block.n_recordings
            if killed_at is None and n_done >= planned.n_recordings // 2:
                killed_at = n_done
                (raylet,) = second.all_processes["raylet"]
                kill_with_children(raylet.process.pid)
    begun = Counter(ledger.read_text().split("\n")[:-1])
    again = sum(n > 1 for n in begun.values())
    return {"killed_at": killed_at, "begun_again": again, **compared(dest, expected)}


def driver(source: Path, work: Path) -> dict[str, Any]:
    """Kill the command when half of the recordings are done; start it again."""
    expected, dest = expected_of(work), work / "driver"
    with two_nodes() as (cluster, _):
        command = [sys.executable, "-m", "speech_endpoint.cli", "batch", str(source), str(dest)]
        command += ["--cluster", cluster.address, "--quiet"]
        process = subprocess.Popen(command)
        while len(rows(dest)) < len(expected) // 2:
            assert process.poll() is None, "it ended"
            time.sleep(0.1)
        process.kill()
        process.wait()
        before = {path: path.stat().st_mtime_ns for path in (dest / "transcripts").glob("part-*")}
        n_before = len(rows(dest))
        code = subprocess.run(command).returncode
    touched = sum(path.stat().st_mtime_ns != time_ns for path, time_ns in before.items())
    return {
        "killed_at": n_before,
        "exit": code,
        "parts_written_again": touched,
        **compared(dest, expected),
    }


def drive(n: int, work: Path) -> dict[str, Any]:
    """A driver of so many tiny recordings, in this process."""
    source, dest = work / f"tiny-{n}", work / f"tiny-{n}-out"
    for i in range(n):
        folder = source / f"{i // 1000:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:06d}.wav").write_bytes(b"x" * (i % 97 + 1))
    connect("local")
    resources = Resources(2)
    job = Job(Archive(str(source)), Store(str(dest), "parquet"), StandIn)
    planned = plan_on_cluster(job, None, resources)
    started = time.perf_counter()
    n_done = sum(block.n_recordings for block in transcribe(job, planned.n_pending, resources))
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
    right = Counter(row["file"] for row in rows(dest))
    return {
        "recordings": n,
        "done": n_done,
        "found_once": sum(count == 1 for count in right.values()),
        "blocks": planned.n_pending,
        "driver_peak_mib": peak,
        "seconds": round(seconds, 1),
    }


def memory(work: Path) -> dict[str, Any]:
    """The driver's peak with few recordings and with a hundred times as many."""
    lines = {}
    for n in (200, 20_000):
        command = [sys.executable, "-m", "benchmarks.archive", "drive", str(n), "--work", str(work)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines[str(n)] = json.loads(output.splitlines()[-1])
    return lines


def main() -> None:
    """Run one section and print its line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("section", choices=["expect", "node", "driver", "memory", "drive"])
    parser.add_argument("source", nargs="?", help="a folder of recordings; of drive, how many")
    parser.add_argument("--work", type=Path, default=Path("/tmp/speech-archive"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.section == "memory":
        line = memory(given.work)
    elif given.section == "drive":
        line = drive(int(given.source), given.work)
    else:
        section = {"expect": expect, "node": node, "driver": driver}[given.section]
        line = section(Path(given.source), given.work)
    print(json.dumps({given.section: line}) if given.section != "drive" else json.dumps(line))


if __name__ == "__main__":
    main()

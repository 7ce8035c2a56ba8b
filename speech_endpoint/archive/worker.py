"""What a worker does with a block: read, transcribe, write; once, whatever dies meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from speech_endpoint.archive.blocks import Block
from speech_endpoint.archive.errors import EngineFailed
from speech_endpoint.archive.recognisers import Recogniser
from speech_endpoint.archive.recordings import Archive, Recording
from speech_endpoint.archive.store import Store
from speech_endpoint.archive.tables import Failure, Outcome, error_row, transcript_row
from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.transcript import Transcript

MAX_TOGETHER = 2
"""A block that was begun so often and never finished is done one recording at a time."""
MAX_ALONE = 2
"""A recording that was begun alone so often, and took its process with it, is given up."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of every recording. Plain data, the same on every machine."""

    source: Archive
    store: Store
    make_recogniser: Callable[[], Recogniser]
    """Called once a worker: it loads the models."""


@dataclass(frozen=True, slots=True)
class BlockDone:
    """What a worker tells of a block; the results themselves are in the store."""

    n_recordings: int
    n_errors: int
    n_bytes: int
    audio_s: float
    failure: str = ""
    """Nothing was done, because the models cannot be loaded."""


class Worker:
    """Lives in a process of its own and does one block after the other."""

    def __init__(self, job: Job) -> None:
        self._job, self._failure = job, ""
        try:
            self._recogniser = job.make_recogniser()
        except ModelUnavailable as error:
            # Ray would answer an error in here with its own, many tracebacks long.
            self._failure = str(error)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Do the pending block of a number, {"item": …}; a `BlockDone` as a row.

        Ray calls again with the same number where a worker or its answer is lost.
        """
        if self._failure:
            return asdict(BlockDone(0, 0, 0, 0.0, self._failure))
        return asdict(self.do(self._job.store.pending(int(row["item"]))))

    def do(self, block: Block) -> BlockDone:
        """Do a block, or see that it is done."""
        store = self._job.store
        if store.is_done(block):
            return BlockDone(len(block.recordings), 0, block.n_bytes, 0.0)
        outcomes = self._outcomes(block)
        transcripts = {n: o for n, o in outcomes.items() if isinstance(o, Transcript)}
        failures = {n: o for n, o in outcomes.items() if isinstance(o, Failure)}
        store.write(
            block,
            [transcript_row(name, transcript) for name, transcript in transcripts.items()],
            [error_row(name, failure) for name, failure in failures.items()],
        )
        audio_s = sum(transcript.duration_s for transcript in transcripts.values())
        return BlockDone(len(block.recordings), len(failures), block.n_bytes, audio_s)

    def _outcomes(self, block: Block) -> dict[str, Outcome]:
        store = self._job.store
        while (tries := store.tries(block)).together < MAX_TOGETHER:
            store.note(block, tries.again())
            try:
                return self._transcribe(block.recordings)
            except EngineFailed as error:
                logger.warning("block %s: %s", block.id, error)
        outcomes: dict[str, Outcome] = {}
        for recording in block.recordings:
            outcomes |= self._alone(block, recording)
        return outcomes

    def _alone(self, block: Block, recording: Recording) -> dict[str, Outcome]:
        store, name = self._job.store, recording.name
        while (tries := store.tries(block)).alone.get(name, 0) < MAX_ALONE:
            store.note(block, tries.again_alone(name))
            try:
                outcome = self._transcribe([recording])
            except EngineFailed as error:
                logger.warning("%s: %s", name, error)
            else:
                # If another one of the block ends this process, it is not to blame.
                store.note(block, store.tries(block).survived(name))
                return outcome
        message = f"its process ended {MAX_ALONE} times while it was transcribed"
        return {name: Failure("inputs", "worker_died", message)}

    def _transcribe(self, recordings: Sequence[Recording]) -> dict[str, Outcome]:
        audio: dict[str, bytes] = {}
        outcomes: dict[str, Outcome] = {}
        while left := [r for r in recordings if r.name not in audio and r.name not in outcomes]:
            try:
                for recording, content in self._job.source.read(left):
                    audio[recording.name] = content
            except OSError as error:
                # Of the first that is not there: the others are read without it.
                bad = next(recording.name for recording in left if recording.name not in audio)
                outcomes[bad] = Failure.of(error)
            else:
                break
        outcomes |= self._recogniser.transcribe(audio)
        gone = Failure("inputs", "missing", "it is not in the data set any more")
        return {recording.name: outcomes.get(recording.name, gone) for recording in recordings}

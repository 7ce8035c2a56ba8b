"""Transcribing many files: which are left to do, several at once, and what became of each."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

from speech_endpoint.cli.inputs import Source
from speech_endpoint.cli.outputs import OutputFolder, Task
from speech_endpoint.cli.progress import Progress
from speech_endpoint.cli.recognisers import Recogniser, RecogniserError
from speech_endpoint.cli.remote.endpoint_errors import EndpointUnreachable
from speech_endpoint.errors import InvalidRequest, OutOfMemory
from speech_endpoint.output.cues import SubtitleOptions
from speech_endpoint.output.formats import render
from speech_endpoint.output.response import to_json
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that all files of a run have in common."""

    recogniser: Recogniser
    parameters: Mapping[str, Any]
    config: InferenceConfig
    """The same, checked."""
    folder: OutputFolder
    progress: Progress

    def run(self, tasks: Sequence[Task]) -> dict[str, Exception]:
        """Transcribe all; a file that fails harms no other.

        Returns:
            What went wrong, by the recording's name.
        """
        failures: dict[str, Exception] = {}
        self.progress.begin()
        pool = ThreadPoolExecutor(self.recogniser.max_jobs)
        try:
            jobs = {pool.submit(self._serve, task): task for task in tasks}
            for job in as_completed(jobs):
                self._report(job, jobs[job], failures)
        except BaseException:
            # Ctrl-C: what has not begun does not begin, nothing stays half written, and nobody
            # waits for an endpoint's answer.
            self.recogniser.close()
            pool.shutdown(wait=False, cancel_futures=True)
            for task in tasks:
                self.folder.discard(task.outputs)
            raise
        pool.shutdown()
        return failures

    def _serve(self, task: Task) -> float:
        """Transcribe one; its duration, for the transcripts of all would fill the memory."""
        try:
            self.folder.reserve(task.outputs)
            on_advance = partial(self.progress.advance, task.source.name)
            transcript = self.recogniser.transcribe(task.source.read(), self.parameters, on_advance)
            texts = {each: rendered(transcript, each.format, self.config) for each in task.outputs}
            self.folder.write(texts)
        except (EndpointUnreachable, OSError) as error:
            if isinstance(error, EndpointUnreachable) or _is_disk_full(error):
                # The others will fare no better. Here, for this thread would begin the next one.
                self.recogniser.close()
            raise
        finally:
            self.folder.discard(task.outputs)
        for warning in transcript.warnings:
            self.progress.warned(task.source.name, warning)
        return transcript.duration_s

    def _report(self, job: Future[float], task: Task, failures: dict[str, Exception]) -> None:
        name = task.source.name
        try:
            duration_s = job.result()
        except (InvalidRequest, RecogniserError, OutOfMemory, OSError) as error:
            failures[name] = error
            self.progress.failed(name, str(error))
        else:
            self.progress.done(name, duration_s)


def _is_disk_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def transcribe_one(
    source: Source, parameters: Mapping[str, Any], recogniser: Recogniser, progress: Progress
) -> Transcript:
    """Transcribe one recording, and close the recogniser; raises as `Recogniser.transcribe`."""
    try:
        progress.begin()
        on_advance = partial(progress.advance, source.name)
        transcript = recogniser.transcribe(source.read(), parameters, on_advance)
    finally:
        recogniser.close()
    for warning in transcript.warnings:
        progress.warned(source.name, warning)
    progress.done(source.name, transcript.duration_s)
    return transcript


def rendered(transcript: Transcript, response_format: str, config: InferenceConfig) -> str:
    """A transcript as a file's text, with a line break at its end."""
    if response_format == "json":
        return json.dumps(to_json(transcript, config), ensure_ascii=False, indent=2) + "\n"
    options = SubtitleOptions(config.max_line_chars, config.max_cue_s, config.speaker_labels)
    return render(transcript, response_format, options)

"""`speech batch`: an archive of recordings to tables of transcripts, on one machine or many."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from speech_endpoint.cli.exit_codes import ExitCode
from speech_endpoint.cli.options.request import given_parameters, request_options
from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.errors import InvalidRequest, InvalidSettings, ModelUnavailable
from speech_endpoint.parameters import InferenceConfig

if TYPE_CHECKING:
    from speech_endpoint.archive.run import Planned
    from speech_endpoint.archive.worker import BlockDone, Job

LOG_INTERVAL_S = 30.0
"""Between lines where standard error is no terminal."""


@click.command()
@click.argument("source")
@click.argument("dest")
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["parquet", "jsonl"]),
    default="parquet",
    show_default=True,
    help="Of the tables.",
)
@click.option("--glob", "pattern", metavar="PATTERN", help="Which files of the source.")
@click.option(
    "--cluster",
    envvar="RAY_ADDRESS",
    # Without an address Ray joins whatever was last started on the machine.
    default="local",
    metavar="ADDRESS",
    help="A Ray cluster; without it, this machine.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="At most; each loads the models.  [default: all fit]"
)
@click.option(
    "--cpus", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Each."
)
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    help="Each; 0.5: two workers a GPU.  [default: 1 where the cluster has any]",
)
@click.option("--retry-errors", is_flag=True, help="Do blocks again in which recordings failed.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what goes wrong.")
@request_options
def batch(source: str, dest: str, **given: Any) -> None:
    """Transcribe an archive on Ray: SOURCE to tables in DEST.

    SOURCE is a folder, or what fsspec knows (s3://bucket/prefix, hf://datasets/owner/name): audio
    files, and Parquet files with a column of audio. DEST gets transcripts/ and errors/, a file a
    block of recordings. What is there is not done again: start the same command to go on.

    The models are those that the environment names: ASR_MODEL, DIARIZATION_MODEL, ….
    """
    parameters = given_parameters(given)
    try:
        InferenceConfig.from_parameters(parameters)
    except InvalidRequest as error:
        raise click.UsageError(str(error).removeprefix("parameters.")) from None
    sys.exit(_run(source, dest, parameters, given))


def _run(source: str, dest: str, parameters: dict[str, Any], given: dict[str, Any]) -> ExitCode:
    try:
        import ray

        from speech_endpoint.archive.recordings import UnknownArchive
        from speech_endpoint.archive.run import connect
    except ImportError as error:
        message = f"speech batch needs Ray ({error.name} is missing); see requirements-cluster.txt"
        return _say(message, ExitCode.CONFIGURATION)
    try:
        job = _job(source, dest, parameters, given)
        job.source.check()
        job.store.open(_identity(ModelSettings(), parameters))
        if given["retry_errors"]:
            job.store.forget_failures()
        connect(given["cluster"])
        return _transcribe(job, given)
    except UnknownArchive as error:
        return _say(str(error), ExitCode.NOTHING_FOUND)
    except (InvalidSettings, ModelUnavailable) as error:
        return _say(str(error), ExitCode.CONFIGURATION)
    except ray.exceptions.RayError as error:
        return _say(_cause(error), ExitCode.CONFIGURATION)
    except KeyboardInterrupt:
        return _say("interrupted; the same command goes on", ExitCode.INTERRUPTED)
    finally:
        ray.shutdown()


def _job(source: str, dest: str, parameters: dict[str, Any], given: dict[str, Any]) -> Job:
    from speech_endpoint.archive.recognisers import load_models
    from speech_endpoint.archive.recordings import Archive
    from speech_endpoint.archive.store import Store
    from speech_endpoint.archive.worker import Job

    # A worker's working directory is Ray's.
    here = str(Path.cwd())
    make = partial(load_models, ModelSettings(), parameters, here)
    return Job(Archive(_absolute(source)), Store(_absolute(dest), given["table_format"]), make)


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).resolve())


def _identity(settings: ModelSettings, parameters: dict[str, Any]) -> dict[str, Any]:
    names = ("asr_model", "diarization_model", "assistant_model")
    models = {name: getattr(settings, name) for name in names}
    return {
        **{name: value and resolve_model(value, ".") for name, value in models.items()},
        "parameters": parameters,
    }


def _transcribe(job: Job, given: dict[str, Any]) -> ExitCode:
    from speech_endpoint.archive.run import plan_on_cluster, resources_of_cluster, transcribe

    resources = resources_of_cluster(given["workers"], given["cpus"], given["gpus"])
    planned = plan_on_cluster(job, given["pattern"], resources)
    if not planned.n_recordings:
        return _say("no recordings there", ExitCode.NOTHING_FOUND)
    with ArchiveProgress(planned, quiet=given["quiet"]) as progress:
        if planned.n_pending:
            for block in transcribe(job, planned.n_pending, resources):
                progress.add(block)
    progress.conclude()
    return ExitCode.SOME_FAILED if progress.n_errors else ExitCode.OK


class ArchiveProgress:
    """One bar over the archive's bytes, with the time left; lines where there is no terminal."""

    def __init__(self, planned: Planned, *, quiet: bool) -> None:
        self.n_errors, self._quiet = 0, quiet
        self._planned, self._n = planned, planned.n_done
        self._audio_s, self._started = 0.0, time.monotonic()
        is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=planned.n_bytes,
            initial=planned.n_bytes_done,
            unit="B",
            unit_scale=True,
            disable=quiet,
            mininterval=0.1 if is_terminal else LOG_INTERVAL_S,
            # Blocks come seconds apart, the large ones first: the speed is that of the whole run.
            smoothing=0.0,
        )

    def add(self, block: BlockDone) -> None:
        """A block is done."""
        self._n += block.n_recordings
        self.n_errors += block.n_errors
        self._audio_s += block.audio_s
        self._bar.set_postfix_str(
            f"{self._n}/{self._planned.n_recordings} recordings, {self.n_errors} failed",
            refresh=False,
        )
        self._bar.update(block.n_bytes)

    def __enter__(self) -> ArchiveProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def conclude(self) -> None:
        """Say what was done."""
        if self._quiet:
            return
        seconds = max(1e-3, time.monotonic() - self._started)
        n_new, speed = self._n - self._planned.n_done, self._audio_s / seconds
        click.echo(
            f"{n_new} recordings, {self._audio_s / 3600:.2f} h of audio in {seconds:.0f} s"
            f" ({speed:.1f} × real time);"
            f" {self._planned.n_done} were there; {self.n_errors} failed",
            err=True,
        )


def _cause(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _say(message: str, code: ExitCode) -> ExitCode:
    click.echo(f"error: {message}", err=True)
    return code

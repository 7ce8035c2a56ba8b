"""`speech transcribe`: files, folders or standard input to transcripts."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speech_endpoint.cli.batch import Batch, rendered, transcribe_one
from speech_endpoint.cli.exit_codes import ExitCode, exit_code_of, failed
from speech_endpoint.cli.inputs import STDIN, Source, find_sources
from speech_endpoint.cli.options.request import given_parameters, request_options
from speech_endpoint.cli.outputs import (
    FORMATS,
    Output,
    OutputFolder,
    Task,
    format_of,
    output_stems,
)
from speech_endpoint.cli.progress import Bar, JsonLines, Lines, Progress, Quiet, printable
from speech_endpoint.cli.recognisers import GivenUp, RecogniserError
from speech_endpoint.errors import InvalidRequest, InvalidSettings, ModelUnavailable, OutOfMemory
from speech_endpoint.parameters import InferenceConfig

if TYPE_CHECKING:
    from speech_endpoint.cli.remote.connect import Place

DEFAULT_FORMAT = "text"
DEFAULT_JOBS = 4
STDOUT = Path(STDIN)


@dataclass(frozen=True, slots=True)
class Options:
    """The command's own options; their help is below."""

    output: Path | None
    formats: tuple[str, ...]
    endpoint: str | None
    openai: bool
    jobs: int
    pattern: str | None
    recursive: bool
    again: bool
    quiet: bool
    json_lines: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of every recording."""

    parameters: dict[str, Any]
    """As they were given."""
    config: InferenceConfig
    """The same, checked."""
    formats: tuple[str, ...]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES|FOLDER|-")
@click.option(
    "-o",
    "--output",
    "--output-dir",
    "output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A folder for the outputs, or a file for one; - is standard output.",
)
@click.option(
    "-f",
    "--format",
    "--response-format",
    "--output-format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help=f"May be given several times.  [default: {DEFAULT_FORMAT}]",
)
@click.option(
    "--endpoint",
    envvar="SPEECH_ENDPOINT",
    metavar="URL",
    help="Transcribe there, with the key in SPEECH_API_KEY or HF_TOKEN.",
)
@click.option("--openai", is_flag=True, help="The endpoint speaks only OpenAI's audio API.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=DEFAULT_JOBS,
    show_default=True,
    help="Files in work at once.",
)
@click.option("--glob", "pattern", metavar="PATTERN", help="Which files of a folder.")
@click.option("-r", "--recursive", is_flag=True, help="Folders within folders, too.")
@click.option("--again", is_flag=True, help="Transcribe what has been transcribed, too.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what goes wrong.")
@click.option("--json-lines", is_flag=True, help="Progress for programs, on standard error.")
@click.option("--hf-token", hidden=True, help="Refused.")
@request_options
def transcribe(files: tuple[str, ...], **given: Any) -> None:
    """Write down who said what, when.

    One recording without -o goes to standard output. Of several, and with -o, each output is a file
    beside its recording, or in the folder of -o; what is there already, newer than its recording
    and made with the same options, is left alone.

    The models are those that the environment names: ASR_MODEL, DIARIZATION_MODEL, ….
    """
    if given["hf_token"] is not None:
        raise click.UsageError("who can see this machine can read its command lines; set HF_TOKEN")
    parameters = given_parameters(given)
    try:
        config, _ = InferenceConfig.from_parameters(parameters)
    except InvalidRequest as error:
        raise click.UsageError(str(error).removeprefix("parameters.")) from None
    options = Options(**{field.name: given[field.name] for field in fields(Options)})
    code = _run(files, Order(parameters, config, options.formats or (DEFAULT_FORMAT,)), options)
    if code == ExitCode.INTERRUPTED:
        # Python would wait for threads that wait for an endpoint.
        os._exit(code)
    sys.exit(code)


def _run(files: Sequence[str], order: Order, options: Options) -> ExitCode:
    try:
        sources = find_sources(files, options.pattern, recursive=options.recursive)
    except FileNotFoundError as error:
        return failed(f"there is no {printable(str(error))}", ExitCode.NOTHING_FOUND)
    except OSError as error:
        return failed(f"{printable(str(error.filename))}: {error.strerror}", ExitCode.NOTHING_FOUND)
    if not sources:
        return failed("no recordings there", ExitCode.NOTHING_FOUND)
    # It brings settings, which take as long to import as all else here: the help needs none.
    from speech_endpoint.cli.remote.connect import Place

    place = Place(options.endpoint, options.openai, options.jobs)
    try:
        if options.output == STDOUT or (options.output is None and len(sources) == 1):
            return _to_stdout(sources, order, place, options)
        return _to_files(_tasks(sources, order.formats, options.output), order, place, options)
    except (InvalidSettings, ModelUnavailable) as error:
        return failed(str(error), ExitCode.CONFIGURATION)
    except KeyboardInterrupt:
        return failed("interrupted", ExitCode.INTERRUPTED)


def _to_stdout(sources: Sequence[Source], order: Order, place: Place, options: Options) -> ExitCode:
    if len(sources) > 1 or len(order.formats) > 1:
        raise click.UsageError(
            "standard output takes one recording in one format; name a folder with -o"
        )
    (source,) = sources
    # Where nobody watches, what goes wrong is all there is to say of one recording.
    is_watched = sys.stderr.isatty() or options.json_lines
    progress = _progress(sources, 1, options) if is_watched else Quiet()
    try:
        transcript = transcribe_one(source, order.parameters, place.connect(), progress)
    except (InvalidRequest, RecogniserError, OutOfMemory, OSError) as error:
        progress.failed(source.name, str(error))
        return exit_code_of([error])
    finally:
        progress.close()
    text = rendered(transcript, order.formats[0], order.config)
    try:
        # A file is UTF-8, whatever a console is.
        click.echo(text if sys.stdout.isatty() else text.encode(), nl=False)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        return failed(f"standard output: {error.strerror}", ExitCode.SOME_FAILED)
    return ExitCode.OK


def _tasks(sources: Sequence[Source], formats: Sequence[str], output: Path | None) -> list[Task]:
    """Each recording with its outputs: in a folder, or beside it; or one file that is named."""
    if output is None and any(source.path is None for source in sources):
        raise click.UsageError("standard input has no folder; name one with -o")
    if output is not None and not output.is_dir() and (named := format_of(output)):
        if len(sources) > 1 or formats not in ((DEFAULT_FORMAT,), (named,)):
            raise click.UsageError(f"-o {output}: a file takes one recording in its own format")
        return [Task(sources[0], (Output(output, named),))]
    try:
        if output is not None:
            # Not after hours of work.
            output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"-o {output}: no folder can be there ({error.strerror})") from None
    stems = output_stems(sources, output)
    return [
        Task(source, tuple(Output.of(stem, name) for name in formats))
        for source, stem in zip(sources, stems, strict=True)
    ]


def _to_files(tasks: Sequence[Task], order: Order, place: Place, options: Options) -> ExitCode:
    folder = OutputFolder(order.parameters | place.identity())
    left: list[Task] = []
    there: list[Task] = []
    for task in tasks:
        is_there = not options.again and folder.is_up_to_date(task)
        (there if is_there else left).append(task)
    progress = _progress([task.source for task in left], len(tasks), options)
    try:
        for task in there:
            progress.skipped(task.source.name)
        failures = _transcribe(left, order, place, folder, progress) if left else {}
    finally:
        progress.close()
    if failures and not options.json_lines:
        _list(failures, len(tasks))
    return exit_code_of(list(failures.values()))


def _list(failures: Mapping[str, Exception], n_files: int) -> None:
    click.echo(f"{len(failures)} of {n_files} failed:", err=True)
    told = {name: error for name, error in failures.items() if not isinstance(error, GivenUp)}
    for name, error in told.items():
        click.echo(f"  {printable(name)}: {error}", err=True)
    if len(told) < len(failures):
        click.echo(f"  and {len(failures) - len(told)} that were given up for it", err=True)


def _transcribe(
    tasks: Sequence[Task], order: Order, place: Place, folder: OutputFolder, progress: Progress
) -> dict[str, Exception]:
    recogniser = place.connect()
    try:
        return Batch(recogniser, order.parameters, order.config, folder, progress).run(tasks)
    finally:
        recogniser.close()


def _progress(sources: Sequence[Source], n_files: int, options: Options) -> Progress:
    if options.json_lines:
        return JsonLines()
    if options.quiet:
        return Quiet()
    if sys.stderr.isatty():
        return Bar({source.name: source.size for source in sources})
    return Lines(n_files)

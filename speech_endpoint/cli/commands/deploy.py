"""`speech deploy`: an Inference Endpoint, made or brought up to date."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speech_endpoint.cli.exit_codes import ExitCode
from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidSettings

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from speech_endpoint.deployment.deploy import Plan
    from speech_endpoint.deployment.settings import DeploymentSettings
    from speech_endpoint.deployment.wish import Access, Wish

DEFAULT_MODEL = ModelSettings.model_fields["asr_model"].default
DEFAULT_TIMEOUT_MIN = 30.0
TEST_CLIP = "tests/data/austen.flac"
EXIT_CODES = {
    "refused": ExitCode.NO_ENDPOINT,
    "no_room": ExitCode.OVERLOADED,
    "configuration": ExitCode.CONFIGURATION,
    "failed": ExitCode.SOME_FAILED,
}


@dataclass(frozen=True, slots=True)
class Options:
    """How it is done; what is wanted is a `Wish`."""

    folder: Path
    dry_run: bool
    no_wait: bool
    timeout: float


@click.command()
@click.argument("name")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="A Whisper on the Hub.")
@click.option("--assistant", "--drafter", metavar="MODEL", help="A Whisper that drafts for it.")
@click.option(
    "--diarize",
    type=click.Choice(("bundle", "community", "none")),
    default="none",
    show_default=True,
    help="bundle: the models that `make models` builds, no token; community: pyannote's, gated.",
)
@click.option("--authenticated", is_flag=True, help="Any Hugging Face account may call.")
@click.option("--public", is_flag=True, help="Anybody may call.")
@click.option(
    "--instance",
    metavar="ID",
    help="Of `hf endpoints hardware`.  [default: the cheapest GPU in the quota that fits]",
)
@click.option("--image", metavar="URL", help="Our container image instead of the host's.")
@click.option("--repo", "repository", metavar="ID", help="On the Hub.  [default: YOU/NAME]")
@click.option("--namespace", help="An organisation of yours.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    help="A clone of the project.  [default: this folder]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be sent; change nothing.")
@click.option("--no-wait", is_flag=True, help="Neither wait for the endpoint nor call it.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.0, 24 * 60.0),
    default=DEFAULT_TIMEOUT_MIN,
    show_default=True,
    metavar="MINUTES",
    help="How long to wait for the endpoint.",
)
def deploy(**given: Any) -> None:
    """Make an Inference Endpoint of the project, or bring one up to date.

    Pushes this clone to a private repository of yours, creates the endpoint or changes what
    differs, waits, and has it transcribe a clip. A second run changes nothing. The Hub token is
    that of HF_TOKEN or `hf auth login`; the endpoint gets it as a secret, and only if a model is
    gated: ENDPOINT_HF_TOKEN may be another one, which only reads.

    Only you and your organisation may call it, unless --authenticated or --public says otherwise.

    Standard output has the endpoint's URL, or with --dry-run the body that would be sent.
    """
    from speech_endpoint.deployment.wish import Wish

    options = Options(**{field.name: given.pop(field.name) for field in fields(Options)})
    access = _access(given.pop("authenticated"), given.pop("public"))
    sys.exit(_run(Wish(access=access, **given), options))


def _access(authenticated: bool, public: bool) -> Access:
    if authenticated and public:
        raise click.UsageError("--authenticated or --public, not both")
    return "public" if public else "authenticated" if authenticated else "private"


def _run(wish: Wish, options: Options) -> ExitCode:
    from huggingface_hub import HfApi

    from speech_endpoint.deployment.deploy import make_plan
    from speech_endpoint.deployment.errors import DeploymentError
    from speech_endpoint.deployment.settings import DeploymentSettings

    try:
        settings = DeploymentSettings()
        api = HfApi(token=settings.own_token())
        plan = make_plan(api, wish, options.folder, settings.endpoint_token())
        if options.dry_run:
            _show(plan)
            return ExitCode.OK
        return _carry_out(api, plan, settings, options)
    except DeploymentError as error:
        _say(f"error: {error}")
        return EXIT_CODES[error.cause]
    except InvalidSettings as error:
        _say(f"error: {error}")
        return ExitCode.CONFIGURATION
    except KeyboardInterrupt:
        _say("interrupted; what the Hub was told goes on there")
        return ExitCode.INTERRUPTED


def _show(plan: Plan) -> None:
    """What would be done."""
    from speech_endpoint.deployment.hf_commands import deploy_command

    files = plan.push
    _say(f"push to {files.repository}: {len(files.added)} files, {len(files.deleted)} deleted")
    if plan.endpoint is None:
        _say(f"create {plan.desired.wish.name}, {_price(plan)}")
    else:
        changes = plan.changes()
        _say(f"update {plan.desired.wish.name}: {', '.join(changes) or 'nothing'}, {_price(plan)}")
    if files.is_needed:
        _say("model.revision will be that of the push")
    click.echo(json.dumps(plan.desired.body(), indent=2, ensure_ascii=False))
    _say(f"\nThe same with `hf`:\n{deploy_command(plan.desired)}")


def _carry_out(api: HfApi, plan: Plan, settings: DeploymentSettings, options: Options) -> ExitCode:
    from speech_endpoint.deployment.deploy import create_or_update, push_files, wait
    from speech_endpoint.deployment.hf_commands import (
        call_command,
        deploy_command,
        further_commands,
    )

    plan = push_files(api, plan, _say)
    desired = plan.desired
    endpoint = create_or_update(api, plan, settings.endpoint_token(), _say)
    code = ExitCode.OK
    if not options.no_wait:
        endpoint = wait(api, endpoint, desired.namespace, options.timeout * 60.0, _say)
        if endpoint.status == "paused":
            _say("it is paused and answers nothing until it is resumed")
        elif endpoint.url:
            code = _call(endpoint.url, settings.own_token(), options.folder / TEST_CLIP)
    _say(f"\n{_price(plan)}; it sleeps after 15 minutes without a request\n")
    _say(f"{deploy_command(desired)}\n{further_commands(desired)}")
    if endpoint.url:
        _say(call_command(endpoint.url))
        click.echo(endpoint.url)
    return code


def _call(url: str, token: str, clip: Path) -> ExitCode:
    """Have the endpoint transcribe a clip."""
    from speech_endpoint.cli.remote.endpoint_errors import EndpointError
    from speech_endpoint.cli.remote.remote import HostEndpoint
    from speech_endpoint.errors import InvalidRequest

    if not clip.is_file():
        _say(f"not called: there is no {TEST_CLIP} here")
        return ExitCode.OK
    endpoint = HostEndpoint(url, token, max_jobs=1)
    try:
        transcript = endpoint.transcribe(clip.read_bytes(), {})
    except (EndpointError, InvalidRequest) as error:
        _say(f"error: it runs, and does not transcribe {clip.name}: {error}")
        return ExitCode.SOME_FAILED
    finally:
        endpoint.close()
    _say(f"{clip.name}: {transcript.text.strip()}")
    return ExitCode.OK


def _price(plan: Plan) -> str:
    machine = plan.desired.machine.id
    if plan.price_per_hour is None:
        return machine
    return f"{machine}, ${plan.price_per_hour:.2f} an hour while it runs"


def _say(text: str) -> None:
    click.echo(text, err=True)

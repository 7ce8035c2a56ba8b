"""From a wish to an endpoint that runs: look, compare, push, create or update, wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from huggingface_hub import HfApi, InferenceEndpoint, constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from speech_endpoint.deployment.desired import Desired, Machine, differences, merged_environment
from speech_endpoint.deployment.errors import DeploymentError, explained
from speech_endpoint.deployment.hardware import choose_hardware
from speech_endpoint.deployment.repository import Push, compare, local_files, push
from speech_endpoint.deployment.wish import Wish

FIRST_POLL_S, MAX_POLL_S = 0.5, 5.0
LOG_LINES, LOG_TIMEOUT_S = 20, 10.0
ENDED = frozenset({"running", "paused", "scaledToZero"})
FAILED = frozenset({"failed", "updateFailed"})

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do."""

    desired: Desired
    push: Push
    endpoint: InferenceEndpoint | None
    """What is there already."""
    price_per_hour: float | None
    """US dollars a replica; None: not listed."""

    def changes(self) -> list[str]:
        """Where the endpoint that is there differs; a push changes its revision."""
        assert self.endpoint is not None
        found = differences(self.desired, self.endpoint.raw)
        if self.push.is_needed and "model.revision" not in found:
            found.append("model.revision")
        return found


def make_plan(api: HfApi, wish: Wish, folder: Path, endpoint_token: str) -> Plan:
    """Look at everything and change nothing.

    Args:
        api: with the caller's token.
        wish: what is wanted.
        folder: a clone of the project, which is pushed; any other one is not.
        endpoint_token: what the endpoint would download models with.

    Raises:
        DeploymentError: it cannot be done.
    """
    with explained("asking who you are"):
        namespace = wish.namespace or str(api.whoami()["name"])
    repository = wish.repository or f"{namespace}/{wish.name}"
    needs_token = _needs_token(api, wish, endpoint_token)
    endpoint = _find(api, wish.name, namespace)
    planned = compare(api, repository, local_files(folder, wish.diarize))
    with explained("listing hardware"):
        offered = api.list_inference_endpoints_hardware(namespace=namespace)
    if endpoint is not None and wish.instance is None:
        machine = Machine.of_endpoint(endpoint.raw)
    else:
        machine = Machine.of(choose_hardware(offered, wish))
    raw = endpoint.raw if endpoint else None
    desired = Desired(
        wish=wish,
        namespace=namespace,
        repository=repository,
        revision=planned.revision,
        machine=machine,
        env=merged_environment(wish, raw),
        needs_token=needs_token,
    )
    if raw is not None:
        _check_fixed(desired, raw)
    prices = (each.price_per_hour for each in offered if Machine.of(each) == machine)
    return Plan(desired, planned, endpoint, next(prices, None))


def push_files(api: HfApi, plan: Plan, say: Say) -> Plan:
    """Push what differs; the plan that is left, of the pushed revision.

    Raises:
        DeploymentError: the Hub refuses.
    """
    if not plan.push.is_needed:
        return plan
    say(f"pushing {len(plan.push.added)} files to {plan.push.repository}")
    revision = push(api, plan.push)
    done = replace(plan.push, exists=True, revision=revision, added={}, deleted=())
    return replace(plan, desired=replace(plan.desired, revision=revision), push=done)


def create_or_update(api: HfApi, plan: Plan, endpoint_token: str, say: Say) -> InferenceEndpoint:
    """Create the endpoint, or change where it differs; nothing where it does not.

    Raises:
        DeploymentError: the Hub refuses.
    """
    desired = plan.desired
    if plan.endpoint is None:
        say(f"creating {desired.wish.name} on {desired.machine.id}")
        with explained("creating the endpoint"):
            return api.create_inference_endpoint(**desired.arguments(endpoint_token))
    changes = plan.changes()
    if not changes:
        say(f"{desired.wish.name} is as it should be; nothing to change")
        return plan.endpoint
    say(f"updating {desired.wish.name}: {', '.join(changes)}")
    with explained("updating the endpoint"):
        return api.update_inference_endpoint(**desired.update_arguments(endpoint_token))


def wait(
    api: HfApi,
    endpoint: InferenceEndpoint,
    namespace: str,
    timeout_s: float,
    say: Say,
) -> InferenceEndpoint:
    """Wait until the endpoint runs, sleeps or is paused; say each new state.

    Raises:
        DeploymentError: it fails, or is not there in time.
    """
    ends, state, poll_s = time.monotonic() + timeout_s, "", FIRST_POLL_S
    while True:
        status = endpoint.raw["status"]
        if status["state"] != state:
            state = status["state"]
            say(f"{endpoint.name}: {state}")
        if state in FAILED:
            raise DeploymentError("failed", _failure(api, endpoint, namespace))
        if state in ENDED:
            return endpoint
        if time.monotonic() + poll_s > ends:
            raise DeploymentError(
                "no_room",
                f"{endpoint.name} is still {state} after {timeout_s:.0f} s, and goes on starting;"
                " run the command again to wait on",
            )
        time.sleep(poll_s)
        poll_s = min(2 * poll_s, MAX_POLL_S)
        with explained("asking for the endpoint's state"):
            endpoint = api.get_inference_endpoint(endpoint.name, namespace=namespace)


def _find(api: HfApi, name: str, namespace: str) -> InferenceEndpoint | None:
    with explained(f"looking for {name}"):
        try:
            return api.get_inference_endpoint(name, namespace=namespace)
        except HfHubHTTPError as error:
            if error.response.status_code == 404:
                return None
            raise


def _needs_token(api: HfApi, wish: Wish, token: str) -> bool:
    """Whether a model is gated or private; the token must then be able to read it."""
    needed = False
    for variable, model in wish.hub_models().items():
        with explained(f"{variable} {model}"):
            try:
                info = api.model_info(model, token=token)
                if info.gated or info.private:
                    needed = True
                    api.auth_check(model, token=token)
            except GatedRepoError:
                raise DeploymentError(
                    "configuration",
                    f"{variable}: accept the conditions of {model} on"
                    f" {constants.ENDPOINT}/{model}, with the account that the endpoint's token"
                    " is of",
                ) from None
            except RepositoryNotFoundError:
                raise DeploymentError(
                    "configuration", f"{variable}: {model} is not on the Hub, or not for this token"
                ) from None
    return needed


def _check_fixed(desired: Desired, existing: dict[str, Any]) -> None:
    """Refuse what no update can change: above all, never leave open what should be closed."""
    name, there = desired.wish.name, existing["type"]
    if there != desired.wish.access:
        meant = "" if there == "private" else f"say --{there} if that is meant, "
        raise DeploymentError(
            "configuration",
            f"{name} is {there}, not {desired.wish.access}, which an update cannot change: {meant}"
            "change it in the endpoint's settings, or delete the endpoint",
        )
    here = Machine.of_endpoint(existing)
    if (here.vendor, here.region) != (desired.machine.vendor, desired.machine.region):
        raise DeploymentError(
            "configuration",
            f"{name} is in {here.vendor} {here.region} and cannot move to"
            f" {desired.machine.vendor} {desired.machine.region}; delete it, or choose another"
            " name",
        )


def _failure(api: HfApi, endpoint: InferenceEndpoint, namespace: str) -> str:
    said = endpoint.raw["status"].get("message") or "no reason is given"
    text = f"{endpoint.name} has failed: {said}"
    lines = _last_log_lines(api, endpoint.name, namespace)
    page = f"https://endpoints.huggingface.co/{namespace}/endpoints/{endpoint.name}/logs"
    return "\n".join([text, *(f"  | {line}" for line in lines), f"the whole log: {page}"])


def _last_log_lines(api: HfApi, name: str, namespace: str) -> list[str]:
    """The end of the endpoint's log, as far as the API gives it."""
    url = f"{constants.INFERENCE_ENDPOINTS_ENDPOINT}/endpoint/{namespace}/{name}/logs"
    headers = {"Authorization": f"Bearer {api.token}"}
    try:
        response = requests.get(url, headers=headers, timeout=LOG_TIMEOUT_S)
    except requests.RequestException:
        return []
    if response.status_code != 200:
        return []
    return [line for line in response.text.splitlines() if line.strip()][-LOG_LINES:]

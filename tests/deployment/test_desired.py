"""An endpoint as it should be, and as it is."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_endpoint.deployment.desired import Desired, Machine, differences, merged_environment
from speech_endpoint.deployment.hf_commands import deploy_command
from speech_endpoint.deployment.wish import MANAGED_VARIABLES, Wish

pytestmark = pytest.mark.pure

MACHINE = Machine("aws", "us-east-1", "gpu", "nvidia-l4", "x1")
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
WISHES = st.builds(
    Wish,
    name=NAMES,
    model=NAMES,
    assistant=st.none() | NAMES,
    diarize=st.sampled_from(("none", "bundle", "community")),
    access=st.sampled_from(("private", "authenticated", "public")),
    image=st.none() | NAMES,
)


def _desired(wish: Wish, needs_token: bool = False) -> Desired:
    return Desired(wish, "ann", "ann/speech", "abc", MACHINE, wish.environment(), needs_token)


@settings(deadline=None)
@given(WISHES, st.booleans())
def test_an_endpoint_that_was_made_of_a_wish_does_not_differ_from_it(
    wish: Wish, needs_token: bool
) -> None:
    desired = _desired(wish, needs_token)
    assert differences(desired, desired.body("hf_x")) == []


@settings(deadline=None)
@given(WISHES, WISHES)
def test_what_differs_is_what_an_update_would_change(wish: Wish, other: Wish) -> None:
    found = differences(_desired(wish), _desired(other).body())
    changed = {path.split(".")[2] for path in found if path.startswith("model.env.")}
    names = wish.environment().keys() | other.environment().keys()
    assert changed == {
        name for name in names if wish.environment().get(name) != other.environment().get(name)
    }
    assert ("type" in found) == (wish.access != other.access)
    is_image_found = any(path.startswith("model.image") for path in found)
    assert is_image_found == (wish.image != other.image)


@settings(deadline=None)
@given(WISHES, st.dictionaries(NAMES.map(str.upper), NAMES))
def test_variables_that_no_deployment_manages_stay(wish: Wish, own: dict[str, str]) -> None:
    there = {"model": {"env": own | {"ASR_MODEL": "old", "ASSISTANT_MODEL": "old"}}}
    merged = merged_environment(wish, there)
    assert {name: merged[name] for name in own if name not in MANAGED_VARIABLES} == {
        name: value for name, value in own.items() if name not in MANAGED_VARIABLES
    }
    assert merged["ASR_MODEL"] == wish.model
    assert merged.get("ASSISTANT_MODEL") == (wish.assistant or None)


def test_what_the_api_does_not_tell_is_taken_for_equal() -> None:
    desired = _desired(Wish("speech", "m"), needs_token=True)
    told = copy.deepcopy(desired.body())
    del told["model"]["secrets"], told["compute"]["scaling"]
    assert differences(desired, told) == []
    told["model"]["secrets"] = {}
    assert differences(desired, told) == ["model.secrets.HF_TOKEN"]


@settings(deadline=None)
@given(WISHES)
def test_no_command_holds_a_token(wish: Wish) -> None:
    command = deploy_command(_desired(wish, needs_token=True))
    assert command.count("HF_TOKEN") == 1 and "--secrets HF_TOKEN" in command

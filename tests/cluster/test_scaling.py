"""How many replicas there are to be, under the contexts that Serve's controller gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from speech_endpoint.cluster.scaling import ByQueuedAudio

pytestmark = pytest.mark.pure

NAMES = ("Ingress", "Transcriber", "Diarizer")


def wanted(queued_s: list[float], n_open: float = 0.0) -> dict[str, float]:
    contexts = {DeploymentID(name, "speech"): context(name, queued_s, n_open) for name in NAMES}
    counts, _ = ByQueuedAudio(audio_s_per_replica=600.0)(contexts)
    return {deployment.name: n for deployment, n in counts.items()}


def context(name: str, queued_s: list[float], n_open: float) -> AutoscalingContext:
    said = {f"replica-{n}": seconds for n, seconds in enumerate(queued_s)}
    return AutoscalingContext(
        deployment_id=DeploymentID(name, "speech"),
        deployment_name=name,
        app_name="speech",
        current_num_replicas=1,
        target_num_replicas=1,
        running_replicas=[],
        total_num_requests=n_open,
        total_queued_requests=0.0,
        aggregated_metrics={"queued_audio_s": said} if name == "Ingress" else {},
        raw_metrics={},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=100,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=0.0,
        config=AutoscalingConfig(target_ongoing_requests=4),
    )


def test_three_hours_of_one_caller_want_as_many_replicas_as_of_many() -> None:
    assert wanted([10_800.0])["Transcriber"] == 18
    assert wanted([1_800.0] * 6)["Transcriber"] == 18


def test_open_requests_scale_the_others_and_not_the_transcriber() -> None:
    assert wanted([0.0], n_open=16.0) == {"Ingress": 4.0, "Transcriber": 0.0, "Diarizer": 4.0}


@given(st.lists(st.floats(0, 1e6), max_size=8))
def test_what_is_queued_is_shared_out_and_no_replica_is_idle(queued_s: list[float]) -> None:
    n = wanted(queued_s)["Transcriber"]
    assert n * 600.0 >= sum(queued_s) > (n - 1) * 600.0 - 1e-6 * (1 + sum(queued_s)) or n == 0

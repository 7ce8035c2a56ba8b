"""How many replicas there are to be, under the contexts that Serve's controller gives."""

from __future__ import annotations

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from speech_endpoint.cluster.demand import replicas_for
from speech_endpoint.cluster.scaling import ARRIVING_AUDIO, QUEUED_AUDIO_S, ByAudio

pytestmark = pytest.mark.pure

NAMES = ("Ingress", "Transcriber", "Diarizer")
SPEED = 30.0


def wanted(*ingresses: tuple[float, float], n_open: float = 0.0) -> dict[str, float]:
    """Of each deployment, where ingresses say (audio a second, audio that waits)."""
    contexts = {DeploymentID(name, "speech"): context(name, ingresses, n_open) for name in NAMES}
    counts, _ = ByAudio(speed=SPEED)(contexts)
    return {deployment.name: n for deployment, n in counts.items()}


def context(name: str, ingresses, n_open: float) -> AutoscalingContext:
    said = {
        metric: {f"replica-{n}": each[which] for n, each in enumerate(ingresses)}
        for which, metric in enumerate((ARRIVING_AUDIO, QUEUED_AUDIO_S))
    }
    return AutoscalingContext(
        deployment_id=DeploymentID(name, "speech"),
        deployment_name=name,
        app_name="speech",
        current_num_replicas=1,
        target_num_replicas=1,
        running_replicas=[],
        total_num_requests=n_open,
        total_queued_requests=0.0,
        aggregated_metrics=said if name == "Ingress" else {},
        raw_metrics={},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=100,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=0.0,
        config=AutoscalingConfig(target_ongoing_requests=4),
    )


def test_all_ingresses_audio_counts_together() -> None:
    assert wanted((100.0, 10_800.0))["Transcriber"] == replicas_for(100.0, 10_800.0, SPEED) > 1
    assert wanted((40.0, 800.0), (60.0, 10_000.0)) == wanted((100.0, 10_800.0))


def test_open_requests_scale_the_others_and_not_the_transcriber() -> None:
    counts = wanted((0.0, 0.0), n_open=16.0)
    assert counts == {"Ingress": 4.0, "Transcriber": 0.0, "Diarizer": 4.0}


def test_before_an_ingress_has_said_anything_no_transcriber_is_wanted() -> None:
    assert wanted()["Transcriber"] == 0.0

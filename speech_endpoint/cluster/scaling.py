"""How many replicas there are to be. Serve's controller runs it, so it imports Ray alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ray.serve.config import AutoscalingContext

from speech_endpoint.cluster.demand import replicas_for

INGRESS, TRANSCRIBER = "Ingress", "Transcriber"
ARRIVING_AUDIO, QUEUED_AUDIO_S = "arriving_audio", "queued_audio_s"

Deployment = TypeVar("Deployment")


class ByAudio:
    """Transcribers by the audio that arrives and waits at all ingresses; the others by their open
    requests.

    Requests are no measure of a transcriber's work: one may be a word or three hours.
    """

    def __init__(self, speed: float) -> None:
        """
        Args:
            speed: seconds of audio a second that one transcriber does.
        """
        self.speed = speed

    def __call__(
        self, contexts: Mapping[Deployment, AutoscalingContext]
    ) -> tuple[dict[Deployment, float], dict[Deployment, dict[str, Any]]]:
        """Wanted replicas of each deployment; Serve keeps them in its bounds and delays."""
        arriving, queued_s = (
            sum(
                sum(context.aggregated_metrics.get(name, {}).values())
                for context in contexts.values()
                if context.deployment_name == INGRESS
            )
            for name in (ARRIVING_AUDIO, QUEUED_AUDIO_S)
        )
        wanted: dict[Deployment, float] = {}
        for deployment, context in contexts.items():
            if context.deployment_name == TRANSCRIBER:
                wanted[deployment] = float(replicas_for(arriving, queued_s, self.speed))
            else:
                n_open = context.total_num_requests
                wanted[deployment] = n_open / context.config.get_target_ongoing_requests()
        return wanted, {}

"""How many replicas there are to be. Serve's controller runs it, so it imports Ray alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from ray.serve.config import AutoscalingContext

INGRESS, TRANSCRIBER = "Ingress", "Transcriber"
QUEUED_AUDIO_S = "queued_audio_s"

Deployment = TypeVar("Deployment")


class ByQueuedAudio:
    """Transcribers by the audio that waits at all ingresses; the others by their open requests.

    Requests are no measure of a transcriber's work: one may be a word or three hours.
    """

    def __init__(self, audio_s_per_replica: float = 600.0) -> None:
        """
        Args:
            audio_s_per_replica: seconds of queued audio that one replica is to work through; what a
                replica does in the wait that callers are to have.
        """
        self.audio_s_per_replica = audio_s_per_replica

    def __call__(
        self, contexts: Mapping[Deployment, AutoscalingContext]
    ) -> tuple[dict[Deployment, float], dict[Deployment, dict[str, Any]]]:
        """Wanted replicas of each deployment; Serve keeps them in its bounds and delays."""
        queued_s = sum(
            sum(context.aggregated_metrics.get(QUEUED_AUDIO_S, {}).values())
            for context in contexts.values()
            if context.deployment_name == INGRESS
        )
        wanted: dict[Deployment, float] = {}
        for deployment, context in contexts.items():
            if context.deployment_name == TRANSCRIBER:
                wanted[deployment] = float(math.ceil(queued_s / self.audio_s_per_replica))
            else:
                n_open = context.total_num_requests
                wanted[deployment] = n_open / context.config.get_target_ongoing_requests()
        return wanted, {}

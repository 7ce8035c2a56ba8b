"""The settings of an endpoint and the parameters of a request."""

from speech_endpoint.config import InferenceConfig, ModelSettings

__all__ = ["InferenceConfig", "ModelSettings"]

"""The diarization pipeline of the endpoint."""

from speech_endpoint.diarization.diarizer import Diarizer

__all__ = ["Diarizer"]

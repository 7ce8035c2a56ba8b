"""Who said what, when: speech to text with speakers, for one endpoint or many.

`pipeline.SpeechPipeline` is the way in; docs/ARCHITECTURE.md has the map. Nothing is imported here,
so that `speech_endpoint.config` costs no second of PyTorch.
"""

__version__ = "0.1.0"

"""The routes of an Inference Endpoint: what the host answers, whole or as a stream."""

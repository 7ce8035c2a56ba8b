"""Transcripts from an endpoint or an OpenAI-compatible server."""

"""Networks of diarization: who speaks when in a few seconds, and what a voice is like."""

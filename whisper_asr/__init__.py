"""Whisper, decoded fast: speech windows in, timed words out. `transcriber.py` is the way in."""

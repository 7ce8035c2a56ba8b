"""What files and requests may claim at most; SECURITY.md has the table."""

from __future__ import annotations

MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 64
"""In a mix; beyond it nobody records speech."""
MAX_CHANNELS_APART = 8
"""With `channels: "speakers"`, where each is transcribed alone."""
MAX_TRACKS = 64

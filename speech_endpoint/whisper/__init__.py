"""Whisper over windows of samples: knows no request, no recording, no speaker."""

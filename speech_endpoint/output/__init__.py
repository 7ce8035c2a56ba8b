"""A transcript as JSON, text, subtitles or RTTM."""

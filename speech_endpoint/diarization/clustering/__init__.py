"""Voices of many chunks to speakers of a recording."""

"""Voices that a request names: what they are given as, and which speakers they are."""

"""One recording, from a waveform to segments of timed words."""

"""Who spoke when, by pyannote.audio. pyannote is imported when a pipeline is loaded, not before."""

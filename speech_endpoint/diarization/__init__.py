"""Who spoke when, by pyannote.audio. The networks are imported when a pipeline is loaded, not before."""

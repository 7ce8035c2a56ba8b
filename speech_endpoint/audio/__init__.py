"""From a payload to speech: decoding, voice activity, windows."""

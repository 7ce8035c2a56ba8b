"""Opens a file with the allowed demuxers and codecs, and with no way to another file."""

from __future__ import annotations

from typing import Any

import av

from speech_endpoint.audio.decoding.formats import CONTAINER_OPTIONS
from speech_endpoint.audio.payload import invalid_inputs


class NotAContainer(Exception):
    """No allowed demuxer knows these bytes."""


class Undecodable(Exception):
    """A track of which nothing, or too little, can be heard; why, for the caller."""

    def __init__(self, message: str, n_tracks: int = 1, *, may_be_pcm: bool = False) -> None:
        super().__init__(message)
        self.n_tracks = n_tracks
        """How many there are in its file."""
        self.may_be_pcm = may_be_pcm
        """Whether its demuxer knows no more than frames, which bytes of PCM may resemble."""


def open_container(piece: memoryview) -> Any:
    """Open a file with the allowed demuxers and codecs, and no way to another file.

    Raises:
        NotAContainer: none of them knows it.
    """
    try:
        return av.open(
            _Reader(piece),
            mode="r",
            container_options=CONTAINER_OPTIONS,
            metadata_errors="ignore",
        )
    except MemoryError:
        raise
    except (av.error.InvalidDataError, av.error.ArgumentError):
        raise NotAContainer from None
    except av.error.FFmpegError as error:
        raise invalid_inputs(
            "unreadable", f"the audio is damaged or cut short ({error.strerror})"
        ) from None


class _Reader:
    """A read-only file over memory, without a copy of it."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def read(self, size: int) -> bytes:
        part = bytes(self._content[self._at : self._at + size])
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._at, len(self._content))[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

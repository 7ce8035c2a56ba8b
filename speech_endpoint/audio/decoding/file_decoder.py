"""Decodes a payload: which of its files, tracks and mixes are heard, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from speech_endpoint.audio.decoding import pcm
from speech_endpoint.audio.decoding.container import NotAContainer, Undecodable, open_container
from speech_endpoint.audio.decoding.formats import LENGTH_IN_HEADER
from speech_endpoint.audio.decoding.headers import share_of_wav, stated_duration_s
from speech_endpoint.audio.decoding.mixing import ChannelPowers, Remedy, Weights
from speech_endpoint.audio.decoding.rendering import (
    ROUNDING_S,
    Renderer,
    Samples,
    Sink,
    TooLong,
)
from speech_endpoint.audio.decoding.track import Track
from speech_endpoint.audio.payload import invalid_inputs
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.limits import MAX_CHANNELS_APART
from speech_endpoint.transcript import SAMPLE_RATE_HZ

MIN_SOUND_PEAK = 1e-4
"""80 dB below full scale: a track that never reaches it is silent."""
MIN_COMPLETE_SHARE = 0.9
"""Of the length that a header states; a file with less of it, and a second less, was cut."""


@dataclass(frozen=True)
class DecodingOptions:
    """What is wanted of a file, and how much of it is allowed."""

    max_audio_s: float
    """The longest recording, seconds; of channels apart, all of them together."""
    pcm_rate_hz: int = SAMPLE_RATE_HZ
    """Of a payload without a container."""
    apart: bool = False
    """Whether each channel is kept."""
    audio_track: int | None = None
    """Which audio track, from 0; None: the first that can be decoded and is not silent."""


@dataclass
class FileDecoder:
    """Decodes the pieces of one payload, one after the other."""

    options: DecodingOptions
    sink: Sink
    on_progress: Callable[[float], None]
    warnings: list[str] = field(default_factory=list)
    n_outputs: int = 0
    _done_s: float = 0.0

    def decode_pieces(self, pieces: list[memoryview]) -> None:
        for number, piece in enumerate(pieces):
            try:
                self._decode_piece(piece)
            except (NotAContainer, Undecodable) as error:
                if number:
                    self._warn(f"what follows {self._done_s:.1f} s could not be decoded")
                elif isinstance(error, NotAContainer) or error.may_be_pcm:
                    self._decode_pcm(piece)
                else:
                    raise invalid_inputs("unreadable", str(error)) from None

    def _decode_piece(self, piece: memoryview) -> None:
        """Decode the track that was asked for, or the first that is not silent."""
        chosen = self.options.audio_track
        mark = self.sink.position()
        silent: int | None = None
        failure: Undecodable | None = None
        number, is_last = chosen or 0, False
        while not is_last:
            self.sink.truncate(mark)
            renderer: Renderer | None = None
            try:
                renderer, n_tracks = self._render_well(piece, number)
            except Undecodable as error:
                failure, n_tracks = failure or error, error.n_tracks
            is_last = chosen is not None or number + 1 >= n_tracks
            if renderer is not None:
                if is_audible(renderer) or (is_last and silent is None):
                    self._keep(renderer, number if chosen is None else 0)
                    return
                silent = number if silent is None else silent
            number += 1
        self.sink.truncate(mark)
        if silent is None:
            raise failure or Undecodable("none of its audio tracks can be decoded")
        self._keep(self._render_well(piece, silent)[0], silent)

    def _render_well(self, piece: memoryview, number: int) -> tuple[Renderer, int]:
        """Render a track, and once more in another way if the first has lost a voice.

        Returns:
            What was rendered, and how many tracks there are to choose from.
        """
        mark = self.sink.position()
        renderer, track = self._render(piece, number, self._renderer())
        remedies = [
            (n_channels, remedy)
            for n_channels, powers in renderer.powers.items()
            if (remedy := self._remedy(powers, renderer.usual_weights[n_channels])) is not None
        ]
        if remedies:
            self.sink.truncate(mark)
            again = self._renderer()
            again.weights = {n_channels: remedy.weights for n_channels, remedy in remedies}
            again.scale = max(remedy.scale for _, remedy in remedies)
            renderer, track = self._render(piece, number, again)
            self._warn(*(remedy.warning for _, remedy in remedies))
        self._warn(track.damage.warning())
        return renderer, track.n_tracks

    def _remedy(self, powers: ChannelPowers, weights: Weights) -> Remedy | None:
        return powers.remedy(None if self.options.apart else weights)

    def _render(self, piece: memoryview, number: int, renderer: Renderer) -> tuple[Renderer, Track]:
        with open_container(piece) as container:
            track = Track(container, self._stream(container, number))
            track.check_codec()
            self._check_apart(track.n_channels)
            stated_s = stated_duration_s(piece)
            self._check_length(stated_s, container, track.n_channels)
            track.render(renderer)
        track.check_damage(renderer.position_s)
        self._check_complete(stated_s, renderer.position_s)
        self._warn_of_cut(share_of_wav(piece), renderer.position_s)
        return renderer, track

    def _stream(self, container: Any, number: int) -> Any:
        tracks = container.streams.audio
        if not tracks:
            raise invalid_inputs("unreadable", "the file has no audio track")
        if number >= len(tracks):
            raise InvalidRequest(
                "parameters.audio_track",
                "invalid_value",
                f"{number}: the file's audio tracks are 0 to {len(tracks) - 1}",
            )
        return tracks[number]

    def _renderer(self) -> Renderer:
        n_outputs = self.n_outputs or 1
        return Renderer(
            self.sink,
            max_s=self.options.max_audio_s - self._done_s * n_outputs,
            apart=self.options.apart,
            n_outputs=self.n_outputs,
            on_progress=lambda position_s: self.on_progress(self._done_s + position_s),
        )

    def _keep(self, renderer: Renderer, number: int = 0) -> None:
        self.n_outputs = renderer.n_outputs
        self._done_s += renderer.position_s
        if number:
            self._warn(
                f"audio track {number} was transcribed: those before it are silent or cannot be "
                "decoded"
            )
        if renderer.position_s and not is_audible(renderer):
            self._warn("the audio is silent")

    def _check_apart(self, n_channels: int) -> None:
        if self.options.apart and n_channels > MAX_CHANNELS_APART:
            raise InvalidRequest(
                "parameters.channels",
                "invalid_value",
                f"'speakers' transcribes each channel alone, at most {MAX_CHANNELS_APART}; "
                f"the file has {n_channels} channels",
            )

    def _check_length(self, length_s: float | None, container: Any, n_channels: int) -> None:
        """Refuse what its own header says is too long, before any of it is decoded."""
        if length_s is None and set(container.format.name.split(",")) & LENGTH_IN_HEADER:
            # Of a piece of a live stream: on the clock on which it begins late.
            begins = max(0, container.start_time or 0)
            length_s = ((container.duration or 0) - begins) / av.time_base
        n_outputs = n_channels if self.options.apart else 1
        limit_s = self.options.max_audio_s + ROUNDING_S
        if length_s is not None and (self._done_s + length_s) * n_outputs > limit_s:
            raise TooLong

    def _check_complete(self, length_s: float | None, decoded_s: float) -> None:
        """Refuse an upload that broke off: half a conversation must not pass for the whole."""
        if length_s is not None and (missing := _what_is_missing(length_s, decoded_s)):
            raise invalid_inputs("unreadable", f"the audio is cut short: {missing}")

    def _warn_of_cut(self, share: float, decoded_s: float) -> None:
        """As `_check_complete`, of headers that recorders write before they know."""
        if share and (missing := _what_is_missing(decoded_s / share, decoded_s)):
            self._warn(f"the audio may be cut short: {missing}")

    def _decode_pcm(self, piece: memoryview) -> None:
        why_not = pcm.why_not_pcm(piece)
        if why_not is not None:
            raise invalid_inputs("unreadable", why_not)
        renderer = self._renderer()
        for samples in _pcm_blocks(piece, self.options.pcm_rate_hz):
            renderer.add(samples, self.options.pcm_rate_hz, "mono")
        renderer.finish()
        self._keep(renderer)

    def _warn(self, *warnings: str | None) -> None:
        self.warnings += [each for each in warnings if each and each not in self.warnings]


def _what_is_missing(stated_s: float, decoded_s: float) -> str | None:
    if decoded_s < MIN_COMPLETE_SHARE * stated_s and stated_s - decoded_s > 1:
        return f"its header promises {stated_s:.1f} s, {decoded_s:.1f} s are there"
    return None


def is_audible(renderer: Renderer) -> bool:
    return any(powers.peak > MIN_SOUND_PEAK for powers in renderer.powers.values())


def _pcm_blocks(piece: memoryview, rate_hz: int) -> Iterator[Samples]:
    """(1, samples), a second each."""
    for block in pcm.blocks(piece, rate_hz):
        yield block[None].astype(np.float32) / np.float32(32768)

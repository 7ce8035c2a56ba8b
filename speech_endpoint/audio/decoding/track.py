"""One track of a container as timed blocks of samples, whatever is damaged in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from speech_endpoint.audio.decoding.container import Undecodable
from speech_endpoint.audio.decoding.formats import BARE_STREAMS, CODECS, LENGTH_IN_HEADER
from speech_endpoint.audio.decoding.rendering import BLOCK_S, MAX_JITTER_S, Renderer, Samples
from speech_endpoint.audio.payload import invalid_inputs
from speech_endpoint.limits import MAX_CHANNELS, MAX_RATE_HZ, MAX_TRACKS, MIN_RATE_HZ

MAX_DEMUXER_ERRORS = 50
MAX_LOST_SHARE = 0.5
"""Of a track's packets; a file with more of them damaged is no recording."""
MAX_GAP_S = 3600.0
"""Between two packets; a longer one is a broken clock."""


@dataclass
class Damage:
    """What of a track could not be decoded."""

    n_packets: int = 0
    n_lost: int = 0
    lost_s: float = 0.0
    first_s: float | None = None
    broke_off: bool = False
    """Whether the container itself could not be read to its end."""

    def warning(self) -> str | None:
        """A sentence that says where and how much; None for a sound track."""
        if self.first_s is None:
            return None
        lost = (
            f"{self.lost_s:.1f} s could not be decoded" if self.lost_s else "sound may be missing"
        )
        end = "; it breaks off at its end" if self.broke_off else ""
        return f"the audio is damaged, first at {self.first_s:.1f} s: {lost}{end}"


@dataclass(frozen=True, eq=False)
class Block:
    """Samples of one rate and layout that follow one another."""

    samples: Samples
    """(channels, samples)"""
    rate_hz: int
    layout: str
    start_s: float | None
    """By the container's clock."""


class Track:
    """An audio track of an open container."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.n_tracks = min(len(container.streams.audio), MAX_TRACKS)
        self.damage = Damage()
        self._converter: tuple[object, Any] = (None, None)

    @property
    def n_channels(self) -> int:
        """As the container says."""
        return self._stream.codec_context.layout.nb_channels

    def check_codec(self) -> None:
        """Raise Undecodable or InvalidRequest for what cannot, or may not, be decoded."""
        codec = self._stream.codec_context
        if codec is None or codec.name not in CODECS:
            raise Undecodable(
                "the codec of its audio track is not known or not allowed", self.n_tracks
            )
        if codec.sample_rate:
            check_rate_and_channels(codec.sample_rate, codec.layout.nb_channels)

    def check_damage(self, decoded_s: float) -> None:
        """Raise Undecodable where nothing, or less than half, could be decoded."""
        damage = self.damage
        is_lost = not decoded_s and damage.first_s is not None
        if is_lost or damage.n_lost > MAX_LOST_SHARE * damage.n_packets:
            how_much = "all" if is_lost else "most"
            raise Undecodable(
                f"the audio is damaged or cut short: {how_much} of it cannot be decoded",
                self.n_tracks,
                may_be_pcm=self._container.format.name in BARE_STREAMS,
            )

    def render(self, renderer: Renderer) -> None:
        """Write all of the track; what begins late, or after a gap, comes after silence.

        Raises:
            InvalidRequest: a rate or number of channels beyond the limits.
            TooLong, ChannelsChanged: see `Renderer`.
        """
        clock = Clock(*self._bounds_s())
        for block in self._blocks(renderer):
            renderer.add_silence(clock.time_of(block.start_s, renderer.position_s))
            renderer.add(block.samples, block.rate_hz, block.layout)
        renderer.finish()

    def _bounds_s(self) -> tuple[float, float]:
        """Where playing begins and ends, by the container's clock."""
        starts = [
            float(stream.start_time * stream.time_base)
            for stream in (*self._container.streams.audio, *self._container.streams.video)
            if stream.start_time is not None and stream.time_base
        ]
        start_s = min(starts, default=0.0)
        names = set(self._container.format.name.split(","))
        if self._container.duration and names & LENGTH_IN_HEADER:
            return start_s, start_s + self._container.duration / av.time_base
        return start_s, float("inf")

    def _blocks(self, renderer: Renderer) -> Iterator[Block]:
        """Frames of some milliseconds, joined to blocks of about a second."""
        pending: list[Samples] = []
        first: Block | None = None
        pending_s = 0.0
        for frame in self._frames(renderer):
            block = self._block(frame)
            if first is not None and (pending_s >= BLOCK_S or _breaks(first, pending_s, block)):
                yield Block(np.hstack(pending), first.rate_hz, first.layout, first.start_s)
                pending, first, pending_s = [], None, 0.0
            first = first or block
            pending.append(block.samples)
            pending_s += block.samples.shape[1] / block.rate_hz
        if first is not None:
            yield Block(np.hstack(pending), first.rate_hz, first.layout, first.start_s)

    def _frames(self, renderer: Renderer) -> Iterator[Any]:
        """The frames of all packets that can be decoded."""
        for _ in range(MAX_DEMUXER_ERRORS):
            try:
                for packet in self._container.demux(self._stream):
                    yield from self._decode(packet, renderer.position_s)
                return
            except MemoryError:
                raise
            except (av.error.FFmpegError, IndexError):
                # IndexError: PyAV's, of a track that FFmpeg found and lost again.
                self._note_damage(renderer.position_s, 0.0)
        self.damage.broke_off = True

    def _decode(self, packet: Any, position_s: float) -> list[Any]:
        self.damage.n_packets += 1
        if is_silence_of_amr(self._stream.codec_context.name, bytes(packet)):
            return []
        try:
            return self._stream.decode(packet)
        except (MemoryError, EOFError):
            raise
        except av.error.FFmpegError:
            self.damage.n_lost += 1
            base = packet.time_base or 0
            start_s = position_s if packet.pts is None else float(packet.pts * base)
            self._note_damage(start_s, float((packet.duration or 0) * base))
            return []

    def _block(self, frame: Any) -> Block:
        rate_hz, layout = frame.sample_rate, frame.layout
        check_rate_and_channels(rate_hz, layout.nb_channels)
        start_s = None if frame.pts is None else float(frame.pts * frame.time_base)
        frame.pts = None
        configuration = (rate_hz, layout.name, frame.format.name)
        if configuration != self._converter[0]:
            # Packed floats, by FFmpeg: PyAV reads planar frames of eight channels wrongly.
            converter = av.AudioResampler(format="flt", layout=layout, rate=rate_hz)
            self._converter = (configuration, converter)
        parts = [part.to_ndarray() for part in self._converter[1].resample(frame)]
        packed = np.hstack(parts) if parts else np.zeros((1, 0), np.float32)
        samples = packed.reshape(-1, layout.nb_channels).T
        return Block(samples, rate_hz, layout.name, start_s)

    def _note_damage(self, start_s: float, lost_s: float) -> None:
        self.damage.lost_s += lost_s
        if self.damage.first_s is None:
            self.damage.first_s = start_s


class Clock:
    """Places blocks on the recording's clock, which is 0 where playing begins."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self._end_s = end_s
        self._shift_s = -start_s

    def time_of(self, start_s: float | None, position_s: float) -> float:
        """Where a block begins that the container says begins at `start_s`.

        At `position_s`, where the last one ended, unless packets are missing between the two.
        A clock that jumps, back or beyond the end of the file, is set anew: those of joined and of
        damaged files do.
        """
        if start_s is None:
            return position_s
        gap_s = start_s + self._shift_s - position_s
        if abs(gap_s) <= MAX_JITTER_S:
            return position_s
        if gap_s < 0 or gap_s > MAX_GAP_S or start_s > self._end_s + 1:
            self._shift_s = position_s - start_s
            return position_s
        return position_s + gap_s


def is_silence_of_amr(codec: str, packet: bytes) -> bool:
    """Whether a packet is one of AMR's for a pause, comfort noise or nothing, which FFmpeg refuses.

    Source: RFC 4867, section 5.3: frame types 8 to 15 hold no speech (9 to 15 in the wide band).
    """
    if "amr" not in codec or not packet:
        return False
    frame_type = packet[0] >> 3 & 0xF
    return frame_type > 8 or (frame_type == 8 and "nb" in codec)


def _breaks(first: Block, pending_s: float, block: Block) -> bool:
    """Whether a block does not simply follow those that are pending since `first`."""
    if (first.rate_hz, first.layout) != (block.rate_hz, block.layout):
        return True
    if first.start_s is None or block.start_s is None:
        return False
    return abs(block.start_s - first.start_s - pending_s) > MAX_JITTER_S


def check_rate_and_channels(rate_hz: int, n_channels: int) -> None:
    """Raise InvalidRequest for what no recorder makes, before memory is taken for it."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise invalid_inputs(
            "unreadable",
            f"a sampling rate of {rate_hz:,} Hz is beyond the limits of "
            f"{MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz",
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise invalid_inputs("unreadable", f"{n_channels:,} channels; the limit is {MAX_CHANNELS}")

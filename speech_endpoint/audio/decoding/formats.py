"""What may be decoded: an allow-list of containers and codecs, and what a file may claim.

FFmpeg knows some 370 demuxers. Among them are playlists and session descriptions, which make it
open other files and sockets, scripts that synthesise hours of sound from a line of text, and
pictures. None of them is needed to hear a recording.
"""

from __future__ import annotations

# fmt: off
DEMUXERS = frozenset({
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dsf", "dss",
    "dts", "dtshd", "eac3", "flac", "flv", "loas", "matroska", "webm", "mov", "mp4", "m4a", "3gp",
    "3g2", "mj2", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nistsphere", "ogg", "oma",
    "qcp", "rm", "shn", "sox", "tak", "truehd", "tta", "voc", "w64", "wav", "wv",
})
"""Names of `ffmpeg -demuxers`; a demuxer of many names goes by any of them."""

CODECS = frozenset({
    "aac", "aac_fixed", "aac_latm", "ac3", "ac3_fixed", "alac", "amrnb", "amrwb",
    "libopencore_amrnb", "libopencore_amrwb", "ape", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms",
    "adpcm_swf", "adpcm_yamaha", "als", "atrac1", "atrac3", "atrac3al", "atrac3plus",
    "atrac3plusal", "cook", "dca", "dsd_lsbf", "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar",
    "dss_sp", "eac3", "evrc", "flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms",
    "ilbc", "mlp", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "mp3adu",
    "mp3adufloat", "mp3on4", "mp3on4float", "mpc7", "mpc8", "nellymoser", "opus", "libopus",
    "pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f16le", "pcm_f24le", "pcm_f32be", "pcm_f32le",
    "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16be_planar", "pcm_s16le",
    "pcm_s16le_planar", "pcm_s24be", "pcm_s24le", "pcm_s24le_planar", "pcm_s32be", "pcm_s32le",
    "pcm_s32le_planar", "pcm_s64be", "pcm_s64le", "pcm_s8", "pcm_s8_planar", "pcm_u16be",
    "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le", "pcm_u8", "qcelp", "qdm2",
    "ra_144", "real_144", "real_288", "s302m", "shorten", "sipr", "speex", "libspeex", "tak",
    "truehd", "truespeech", "tta", "vorbis", "libvorbis", "wavpack", "wmalossless", "wmapro",
    "wmav1", "wmav2", "wmavoice",
})
"""Decoders of audio alone: a cover or a picture track is never decoded."""

SUFFIXES = frozenset({
    ".3g2", ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".amr", ".ape", ".asf", ".au", ".avi",
    ".caf", ".dsf", ".dts", ".flac", ".flv", ".m2ts", ".m4a", ".m4b", ".m4v", ".mka", ".mkv",
    ".mov", ".mp2", ".mp3", ".mp4", ".mpeg", ".mpg", ".mpga", ".mts", ".mxf", ".oga", ".ogg",
    ".ogv", ".opus", ".qcp", ".ra", ".rm", ".spx", ".tak", ".tta", ".ts", ".voc", ".w64",
    ".wav", ".webm", ".weba", ".wma", ".wmv", ".wv",
})
"""Of files that are taken from a folder; a file that is named itself may have any."""
# fmt: on

CONTAINER_OPTIONS = {
    "format_whitelist": ",".join(sorted(DEMUXERS)),
    "codec_whitelist": ",".join(sorted(CODECS)),
    # No protocol has the name "none": what a file names, nothing can open.
    "protocol_whitelist": "none",
}
"""For FFmpeg's avformat_open_input, which looks at them before a demuxer reads a byte."""

LENGTH_IN_HEADER = frozenset({"aiff", "au", "caf", "flac", "matroska", "mov", "wav", "w64"})
"""Demuxers whose durations are the header's word, where others' may be guesses from a bit rate."""

BARE_STREAMS = frozenset({"aac", "ac3", "dts", "eac3", "loas", "mp3", "mpeg", "mpegts", "truehd"})
"""Demuxers that guess from what looks like frames; PCM may look like them."""

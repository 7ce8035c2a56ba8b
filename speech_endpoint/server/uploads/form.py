"""A multipart form, read into memory as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import Receive

from speech_endpoint.errors import quoted
from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.uploads.body import CLOSE, BodyLimits, chunks, too_large

FILE_FIELDS = frozenset({"file", "audio_file"})
LONG_FIELDS = frozenset({"known_speaker_references"})
"""Text that holds a clip of audio."""
MAX_PARTS = 256
MAX_TEXT_BYTES = 64 * 1024
MAX_LONG_TEXT_BYTES = 8 * 2**20
MAX_LONG_TEXTS_BYTES = 64 * 2**20
"""Of a form."""
MAX_HEADER_BYTES = 16 * 1024
"""Of a part."""
MAX_HEADERS = 16
MAX_NAME_BYTES = 1024
MAX_OUTSIDE_BYTES = 8 * 1024
"""Before the first part, and after the last."""
MAX_OVERHEAD_BYTES = 2**20 + MAX_LONG_TEXTS_BYTES
"""What a form may hold beside its file."""
# The parser says where the parts begin and end, not where in a chunk: what is outside of them is
# counted by pieces.
PIECE_BYTES = 8 * 1024


@dataclass
class Form:
    """What a form holds."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    """Names as they were sent, and values, in order."""
    file: bytes | None = None
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """The last value of a field."""
        return next((value for key, value in reversed(self.fields) if key == name), None)


async def read_form(headers: Headers, receive: Receive, limits: BodyLimits) -> Form:
    """Read a form whose file may have `limits.max_bytes`.

    The file's name and type are not looked at: what it is, its bytes say.

    Raises:
        ApiError: no form, a damaged one, one over a limit; or as `body.chunks` does.
        CallerGone: the caller hung up.
    """
    reader = FormReader(_boundary(headers), limits.max_bytes)
    longest = limits.max_bytes + MAX_OVERHEAD_BYTES
    async for chunk in chunks(receive, BodyLimits(longest, limits.timeout_s)):
        reader.feed(chunk)
    return reader.finish()


def check_form_headers(headers: Headers) -> None:
    """Refuse what is no form before a byte is read.

    Raises:
        ApiError: 415, or 400 where the boundary is missing.
    """
    _boundary(headers)


def _boundary(headers: Headers) -> bytes:
    content_type, options = parse_options_header(headers.get("content-type"))
    if content_type != b"multipart/form-data":
        given = quoted(content_type.decode("latin-1"))
        raise ApiError(
            415,
            "unsupported_media_type",
            f"content-type: expected multipart/form-data (got {given})",
            headers=CLOSE,
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _damaged("content-type names no boundary")
    return boundary


class FormReader:
    """Takes a form in chunks of any size."""

    def __init__(self, boundary: bytes, max_file_bytes: int) -> None:
        """
        Raises:
            ApiError: 400, a boundary that is too long.
        """
        self.form = Form()
        self.max_file_bytes = max_file_bytes
        self._n_parts = self._n_header_bytes = self._n_long_bytes = self._n_outside_bytes = 0
        self._ended = False
        self._header_name, self._header_value = bytearray(), bytearray()
        self._disposition = b""
        self._name = ""
        self._part: BytesIO | None = None
        """Where the bytes of the part go; None: nowhere."""
        self._max_part_bytes = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _damaged(str(error)) from None

    def feed(self, chunk: bytes) -> None:
        """Take more of the form.

        Raises:
            ApiError: damaged, or over a limit.
        """
        for piece in _pieces(chunk):
            is_outside = self._ended or not self._n_parts
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise _damaged(str(error)) from None
            if is_outside and (self._ended or not self._n_parts):
                self._n_outside_bytes += len(piece)
                if self._n_outside_bytes > MAX_OUTSIDE_BYTES:
                    raise _damaged(f"more than {MAX_OUTSIDE_BYTES:,} bytes outside of its parts")

    def finish(self) -> Form:
        """The form.

        Raises:
            ApiError: it has no parts, or no end.
        """
        if not self._n_parts:
            raise _damaged("it has no parts")
        if not self._ended:
            raise _damaged("it ends before its last boundary")
        return self.form

    def _on_part_begin(self) -> None:
        self._n_parts += 1
        if self._n_parts > MAX_PARTS:
            raise _damaged(f"more than {MAX_PARTS} parts")
        self._n_header_bytes = 0
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _count_header(self, n_bytes: int) -> None:
        self._n_header_bytes += n_bytes
        if self._n_header_bytes > MAX_HEADER_BYTES:
            raise _damaged(f"more than {MAX_HEADER_BYTES:,} bytes of headers in a part")

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise _damaged("a part without content-disposition: form-data and a name")
        file_name = options.get(b"filename", b"")
        if max(len(name), len(file_name)) > MAX_NAME_BYTES:
            raise _damaged(f"a name of more than {MAX_NAME_BYTES:,} bytes")
        self._name = _text(name, "a field's name")
        self._part = BytesIO()
        if self._name in FILE_FIELDS:
            self._max_part_bytes = self.max_file_bytes
        elif b"filename" in options:
            self.form.warnings.append(f"form: the file {quoted(self._name, 60)} was ignored")
            self._part = None
        else:
            is_long = self._name.partition("[")[0] in LONG_FIELDS
            self._max_part_bytes = MAX_LONG_TEXT_BYTES if is_long else MAX_TEXT_BYTES

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is None:
            return
        n_bytes = self._part.tell() + end - start
        if n_bytes > self._max_part_bytes:
            if self._name in FILE_FIELDS:
                raise too_large(self._max_part_bytes, n_bytes)
            raise ApiError(
                413,
                "payload_too_large",
                f"{self._name[:60]}: more than {self._max_part_bytes:,} bytes of text",
                param=self._name[:60],
                headers=CLOSE,
            )
        self._part.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._part is None:
            return
        value = self._part.getvalue()
        self._part = None
        if self._name in FILE_FIELDS:
            if self.form.file is not None:
                self.form.warnings.append("file: given more than once; the last counts")
            self.form.file = value
            return
        if len(value) > MAX_TEXT_BYTES:
            self._n_long_bytes += len(value)
            if self._n_long_bytes > MAX_LONG_TEXTS_BYTES:
                raise _damaged(f"more than {MAX_LONG_TEXTS_BYTES:,} bytes of references")
        self.form.fields.append((self._name, _text(value, self._name[:60])))

    def _on_end(self) -> None:
        self._ended = True


def _pieces(chunk: bytes) -> Iterator[bytes]:
    if len(chunk) <= PIECE_BYTES:
        yield chunk
        return
    for start in range(0, len(chunk), PIECE_BYTES):
        yield chunk[start : start + PIECE_BYTES]


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_value", f"{name}: expected UTF-8 text", param=name) from None


def _damaged(what: str) -> ApiError:
    return ApiError(400, "invalid_value", f"the form cannot be read: {what}", headers=CLOSE)

"""Forms: what is read, what is refused, and that nothing breaks the reader."""

from __future__ import annotations

import os
import tempfile

import pytest
from forms import BOUNDARY, CONTENT_TYPE, body, part
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.uploads import form
from speech_endpoint.server.uploads.form import Form, FormReader, check_form_headers

pytestmark = pytest.mark.pure

MAX_FILE_BYTES = 4096
N_FUZZED = int(os.environ.get("FUZZED_FORMS", "300"))
"""20,000 take a minute."""


def read(data: bytes, sizes: list[int] | None = None, boundary: str = BOUNDARY) -> Form:
    """Feed a body in chunks of these sizes, again and again, or whole."""
    reader = FormReader(boundary.encode(), MAX_FILE_BYTES)
    position, n = 0, 0
    while position < len(data):
        size = sizes[n % len(sizes)] if sizes else len(data)
        reader.feed(data[position : position + size])
        position, n = position + size, n + 1
    return reader.finish()


def refusal(data: bytes, sizes: list[int] | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(data, sizes)
    return caught.value


names = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\x00'), min_size=1)
fields = st.lists(st.tuples(names.filter(lambda n: n not in form.FILE_FIELDS), st.text()))


@given(fields, st.binary(max_size=2000), st.lists(st.integers(1, 99), min_size=1), st.data())
@settings(deadline=None)
def test_what_is_sent_is_read_however_it_is_cut_into_chunks(fields, audio, sizes, data) -> None:
    # The reader takes what a header says byte by byte: it must be what the header can hold.
    parts = [part(name, value) for name, value in fields]
    at = data.draw(st.integers(0, len(parts)))
    parts.insert(at, part("file", audio, "a.wav"))
    encoded = body(parts)
    if encoded.count(f"--{BOUNDARY}".encode()) != len(parts) + 1:
        return
    result = read(encoded, sizes)
    assert result.file == audio
    assert [value for _, value in result.fields] == [value for _, value in fields]


def test_a1_the_file_may_come_last_or_first_and_needs_no_name() -> None:
    model, audio = part("model", "whisper-1"), part("file", b"RIFF")
    for parts in ([model, audio], [audio, model]):
        result = read(body(parts))
        assert result.file == b"RIFF" and result.fields == [("model", "whisper-1")]


def test_a2_a_reference_of_two_megabytes_is_read_as_text() -> None:
    reference = "data:audio/wav;base64," + "A" * 2_600_000
    result = read(body([part("known_speaker_references[]", reference)]), [65_536])
    assert result.fields == [("known_speaker_references[]", reference)]


def test_the_last_of_two_files_counts_with_a_warning_and_other_files_are_ignored() -> None:
    parts = [part("file", b"one", "a"), part("extra", b"x" * 9999, "b"), part("file", b"two", "a")]
    result = read(body(parts))
    assert result.file == b"two"
    assert len(result.warnings) == 2 and any("'extra'" in text for text in result.warnings)


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        ([part("file", b"x" * (MAX_FILE_BYTES + 1), "a")], 413, "4096"),
        ([part("prompt", "x" * (form.MAX_TEXT_BYTES + 1))], 413, "prompt"),
        ([part("known_speaker_references", "x" * (8 * 2**20 + 1))], 413, "8,388,608"),
        ([part(f"f{n}", "") for n in range(form.MAX_PARTS + 1)], 400, "256 parts"),
        ([part("n" * 2000, "")], 400, "name"),
        ([part("file", b"", "n" * 2000)], 400, "name"),
        ([b"Content-Disposition: form-data\r\n\r\nx"], 400, "name"),
        ([b"Content-Type: text/plain\r\n\r\nx"], 400, "name"),
        ([part("prompt", b"\xff")], 400, "UTF-8"),
    ],
)
def test_what_is_over_a_limit_or_no_form_is_refused_by_name(parts, status, words) -> None:
    for sizes in (None, [1000]):
        error = refusal(body(parts), sizes)
        assert error.status == status and words in error.message


def test_a_form_that_breaks_off_is_refused() -> None:
    assert "ends before" in refusal(body([part("file", b"x" * 100)], end=False)).message
    assert "no parts" in refusal(b"").message and "no parts" in refusal(body([])).message


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "text/plain; boundary=x", "multipart/mixed"]
)
def test_what_is_no_form_is_an_unsupported_media_type(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    with pytest.raises(ApiError) as caught:
        check_form_headers(Headers(headers))
    assert caught.value.status == 415


# CVE-2024-53981 and 2026-40347: bytes before the first boundary, or after the last, are logged or
# scanned one by one. 2024-24762: a header that a regular expression takes ages for. 2026-42561:
# headers without end. 2024-47874 and 2023-30798: fields and parts without end.
@pytest.mark.parametrize(
    "attack",
    [
        b"\r\n" * 100_000 + body([part("file", b"x")]),
        body([part("file", b"x")]) + b"\r\n" * 100_000,
        b"x" * 100_000,
        body([b"Content-Disposition: form-data; name=a\r\n" + b"X: y\r\n" * 1000 + b"\r\nz"]),
        body([b"Content-Disposition: form-data; name=a\r\nX: " + b"y" * 100_000 + b"\r\n\r\nz"]),
        body([b"X" * 100_000 + b": y\r\n\r\nz"]),
        body([part("a", b"")] * 5000),
        body([part("a", b"y" * 10_000_000)]),
        body([b'Content-Disposition: form-data; name="' + b'\\"' * 30_000 + b'"\r\n\r\nz']),
        body([b"Content-Disposition: " + b"=;" * 8000 + b"\r\n\r\nz"]),
    ],
)
def test_s18_known_attacks_are_refused(attack: bytes) -> None:
    assert refusal(attack, [65_536]).status in (400, 413)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; !=" + "\\" * 20_000,
        "multipart/form-data; boundary=" + "x" * 10_000,
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="' + "\\" * 10_000,
    ],
)
def test_s18_a_boundary_that_attacks_the_parser_is_refused(content_type: str) -> None:
    with pytest.raises(ApiError):
        FormReader(form._boundary(Headers({"content-type": content_type})), MAX_FILE_BYTES)


def test_s22_a_file_name_that_is_a_path_touches_no_file(monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: pytest.fail("a temporary file"))
    parts = [part("file", b"x" * 3000, "../../../etc/passwd"), part("model", "x")]
    assert read(body(parts)).file == b"x" * 3000


fragments = st.sampled_from([
    b"\r\n", b"\r", b"\n", b"--", f"--{BOUNDARY}".encode(), f"\r\n--{BOUNDARY}\r\n".encode(),
    f"--{BOUNDARY}--".encode(), b'Content-Disposition: form-data; name="file"; filename="a"',
    b"Content-Disposition: form-data; name=model", b"Content-Type: audio/wav", b": ", b";", b'"',
    b"\x00", b"\xff\xfe", b"filename*=utf-8''%ff", b"boundary", b" ", b"\t",
])  # fmt: skip
forms = st.lists(fragments | st.binary(max_size=20), max_size=40).map(b"".join)
mutated = st.tuples(
    st.lists(st.tuples(st.sampled_from(["file", "model", "a[]"]), st.binary(max_size=50))),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
)


def damage(case) -> bytes:
    fields, edits = case
    data = bytearray(body([part(name, value) for name, value in fields]))
    for position, byte in edits:
        data[position % len(data)] = byte
    return bytes(data)


@given(forms | mutated.map(damage), st.lists(st.integers(1, 30), min_size=1, max_size=4))
@settings(max_examples=N_FUZZED, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_s18_whatever_is_sent_is_a_form_or_a_refusal_and_the_same_in_any_chunks(
    data: bytes, sizes: list[int]
) -> None:
    answers = []
    for cut in (None, sizes):
        try:
            answers.append(read(data, cut))
        except ApiError as error:
            answers.append(error.status)
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Form) or answers[0] in (400, 413)


def test_the_boundary_of_the_content_type_is_used() -> None:
    assert form._boundary(Headers({"content-type": CONTENT_TYPE})) == BOUNDARY.encode()

"""What stands around every route: errors, ids, headers, keys, hosts, origins."""

from __future__ import annotations

import json
import logging
import re
import signal
from collections.abc import Iterator

import httpx
import pytest
from openai import AuthenticationError, OpenAI, RateLimitError
from openai_calls import ROUTE, error_of, post, served
from scripted import EVENTS, SECRET, TEXT
from served import ScriptedService, failing

from speech_endpoint.errors import InvalidRequest, InvalidSettings, OutOfMemory
from speech_endpoint.server.access import Keyring
from speech_endpoint.server.observation.log import JsonFormatter, TextFormatter
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import DeadlineExceeded, Overloaded, Unavailable

pytestmark = pytest.mark.pure

KEY = "sk-abcdefghij"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(ScriptedService(*EVENTS)) as server:
        yield server.url


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (InvalidRequest("inputs", "unreadable", "no audio"), 400, "invalid", "audio_undecodable"),
        (InvalidRequest("inputs", "too_long", "long"), 400, "invalid", "audio_too_long"),
        (InvalidRequest("inputs", "missing", "empty"), 400, "invalid", "audio_empty"),
        (InvalidRequest("inputs", "too_large", "big"), 413, "invalid", "payload_too_large"),
        (InvalidRequest("parameters.x", "unavailable", ""), 400, "invalid", "unsupported_value"),
        (Overloaded("busy", 7.2), 429, "rate_limit", "queue_full"),
        (Unavailable("loading", 3.0, "loading"), 503, "server", "loading"),
        (Unavailable("draining", 3.0, "draining"), 503, "server", "draining"),
        (DeadlineExceeded("late"), 504, "server", "deadline_exceeded"),
        (OutOfMemory("out of memory"), 500, "server", "internal_error"),
        (RuntimeError(SECRET), 500, "server", "internal_error"),
        (ZeroDivisionError(SECRET), 500, "server", "internal_error"),
    ],
)  # fmt: skip
def test_a15_each_error_has_its_status_and_all_four_keys(error, status, kind, code) -> None:
    with served(failing(error)) as server:
        answer = post(server.url)
    told = error_of(answer)
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["type"].startswith(kind)
    assert SECRET not in answer.text
    if status in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
        # With 20 % of jitter, and in milliseconds.
        assert 0.7 < int(answer.headers["retry-after-ms"]) / 1000 / error.retry_after_s < 1.5
    if status == 500:
        assert answer.headers["x-request-id"] in told["message"]


def test_the_field_that_is_wrong_is_named(url: str) -> None:
    assert error_of(post(url, response_format="xml"))["param"] == "response_format"
    missing = httpx.post(url + ROUTE, files={"model": (None, "x")})
    assert (missing.status_code, error_of(missing)["param"]) == (400, "file")
    assert error_of(missing)["code"] == "missing_required_parameter"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("DELETE", ROUTE, 405, "method_not_allowed"),
        ("GET", "/v1/models/gpt-9", 404, "model_not_found"),
        ("POST", ROUTE, 415, "unsupported_media_type"),
    ],
)
def test_no_answer_is_html_or_has_a_detail(url, method, path, status, code) -> None:
    answer = httpx.request(method, url + path)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    if status == 405:
        assert "POST" in answer.headers["allow"]


def test_a15_the_sdk_comes_back_when_it_is_told_to(monkeypatch) -> None:
    service = ScriptedService(*EVENTS)
    refusals = [Overloaded("busy", 0.01), Overloaded("busy", 0.01)]

    def admit() -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(service, "admit", admit)
    with served(service) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="x")
        answer = client.audio.transcriptions.create(file=("a.wav", b"RIFF"), model="whisper-1")
        assert answer.text == TEXT
        refusals += [Overloaded("busy", 1.0)]
        once = client.with_options(max_retries=0)
        with pytest.raises(RateLimitError):
            once.audio.transcriptions.create(file=("a.wav", b"RIFF"), model="whisper-1")


def test_s27_a_harmless_id_is_kept_and_another_is_replaced(url: str) -> None:
    assert post(url, {"x-request-id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    for given in ("", "a b", "x" * 129, "{}"):
        made = post(url, {"x-request-id": given}).headers["x-request-id"]
        assert re.fullmatch("req_[0-9a-f]{24}", made)
    assert httpx.get(url + "/health").headers["x-request-id"]


def test_s26_every_answer_has_the_headers_that_keep_browsers_from_harm(url: str) -> None:
    for answer in (httpx.get(url + "/health"), post(url), httpx.get(url + "/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_s23_a_key_is_asked_for_and_taken_from_three_headers(tmp_path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-of-the-file\n\n")
    keys = {"api_keys": f"{KEY}, sk-other", "api_keys_file": str(file)}
    with served(ScriptedService(*EVENTS), **keys) as server:
        for headers in (
            {"authorization": f"Bearer {KEY}"},
            {"authorization": "bearer sk-other"},
            {"x-api-key": "sk-of-the-file"},
            {"api-key": KEY},
        ):
            assert post(server.url, headers).status_code == 200
        for headers in ({}, {"authorization": f"Bearer {KEY}x"}, {"authorization": f"Basic {KEY}"}):
            answer = post(server.url, headers)
            assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert KEY not in answer.text
        client = OpenAI(base_url=f"{server.url}/v1", api_key="wrong")
        with pytest.raises(AuthenticationError):
            client.models.list()
        for path in ("/", "/health", "/ready", "/ping"):
            assert httpx.get(server.url + path).status_code == 200
        assert httpx.post(server.url + "/", content=b"x").status_code == 401
        assert httpx.get(server.url + "/metrics").status_code == 401


def test_s23_keys_are_read_again(tmp_path) -> None:
    file = tmp_path / "keys"
    file.write_text("old")
    keyring = Keyring(ServerSettings(api_keys_file=str(file)))
    assert keyring.find("old") and not keyring.find("new")
    file.write_text("new")
    keyring.reload()
    assert keyring.find("new") and not keyring.find("old")
    file.unlink()
    with pytest.raises(OSError, match="keys"):
        keyring.reload()
    assert keyring.find("new") and hasattr(signal, "SIGHUP")


def test_metrics_may_be_open_beside_keys() -> None:
    with served(ScriptedService(), api_keys=KEY, metrics_open=True) as server:
        assert httpx.get(server.url + "/metrics").status_code == 200
        assert httpx.get(server.url + "/v1/models").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "[x]"]
)
def test_s24_a_name_of_others_is_refused_where_there_are_no_keys(url: str, host: str) -> None:
    answer = httpx.get(url + "/v1/models", headers={"host": host})
    assert answer.status_code == 421


def test_s24_loopback_and_names_that_were_set_are_served() -> None:
    with served(ScriptedService(*EVENTS), hosts="speech.lan") as server:
        for host in ("localhost", "127.0.0.1:1", "[::1]:8000", "speech.lan", "SPEECH.lan:80"):
            assert httpx.get(server.url + "/health", headers={"host": host}).status_code == 200


def test_s24_a_page_of_others_cannot_send_forms_to_this_machine(url: str) -> None:
    answer = post(url, {"origin": "https://evil.example"})
    assert (answer.status_code, error_of(answer)["code"]) == (403, "origin_not_allowed")
    for origin in ("null", "http://["):
        assert post(url, {"origin": origin}).status_code == 403
    assert post(url, {"origin": url}).status_code == 200


def test_s24_other_machines_are_served_only_with_keys_or_if_it_is_said() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "speech.lan"):
        with pytest.raises(InvalidSettings, match="API_KEYS"):
            ServerSettings(host=host)
        ServerSettings(host=host, api_keys=KEY)
        ServerSettings(host=host, allow_anyone=True)
    for host in ("127.0.0.1", "::1", "localhost"):
        ServerSettings(host=host)


def test_s24_where_anyone_is_allowed_any_name_is_served() -> None:
    with served(ScriptedService(*EVENTS), allow_anyone=True) as server:
        assert post(server.url, {"host": "x.example", "origin": "https://y"}).status_code == 200


def test_s25_pages_of_named_origins_may_call() -> None:
    with served(ScriptedService(*EVENTS), cors_origins="https://a.example", api_keys=KEY) as server:
        asked = {
            "origin": "https://a.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        }
        preflight = httpx.options(server.url + ROUTE, headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://a.example"
        refused = httpx.options(server.url + ROUTE, headers=asked | {"origin": "https://b"})
        assert "access-control-allow-origin" not in refused.headers
        # A page can read an error, too.
        answer = post(server.url, {"origin": "https://a.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_s25_without_a_setting_no_page_may_call(url: str) -> None:
    answer = post(url, {"origin": url})
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("origins", ["*", "a.example", "https://a.example/path", "https://"])
def test_origins_that_are_none_are_refused_at_the_start(origins: str) -> None:
    with pytest.raises(InvalidSettings, match="CORS_ORIGINS"):
        ServerSettings(cors_origins=origins)


def test_the_page_is_shown_in_frames_of_its_own_origin_and_of_those_that_are_set() -> None:
    def ancestors(**settings: str) -> str:
        with served(ScriptedService(*EVENTS), **settings) as server:
            policy = httpx.get(server.url).headers["content-security-policy"]
        return policy.partition("frame-ancestors ")[2]

    assert ancestors() == "'self'"
    named = ancestors(frame_ancestors="https://huggingface.co, https://*.hf.space")
    assert named == "'self' https://huggingface.co https://*.hf.space"


@pytest.mark.parametrize("origins", ["*", "a.example", "https://a;script-src *", "https://a b"])
def test_frame_ancestors_that_would_loosen_the_policy_are_refused(origins: str) -> None:
    with pytest.raises(InvalidSettings, match="FRAME_ANCESTORS"):
        ServerSettings(frame_ancestors=origins)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_s29_a_line_a_request_tells_nothing_of_what_was_said(caplog, formatter) -> None:
    with caplog.at_level(logging.INFO), served(ScriptedService(*EVENTS), api_keys=KEY) as server:
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": "line-1"}
        fields = {"response_format": "srt", "prompt": SECRET, "num_speakers": "2", SECRET: SECRET}
        assert SECRET in post(server.url, headers, **fields).text
        metrics = httpx.get(server.url + "/metrics", headers=headers).text
    lines = [formatter.format(record) for record in caplog.records]
    (line,) = [line for line in lines if "line-1" in line and "transcriptions" in line]
    if isinstance(formatter, JsonFormatter):
        entry = json.loads(line)
        assert entry["status"] == 200 and entry["audio_s"] == 4.0 and entry["speakers"] == 2
        assert entry["format"] == "srt" and entry["total_s"] >= 0 and len(entry["key"]) == 6
    for text in (*lines, metrics):
        assert SECRET not in text and KEY not in text and ".wav" not in text


def test_s29_what_went_wrong_in_here_is_in_the_log_alone(caplog) -> None:
    with caplog.at_level(logging.INFO), served(failing(RuntimeError("the\nreason"))) as server:
        answer = post(server.url)
    assert "reason" not in answer.text
    logged = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert "reason" in logged and answer.headers["x-request-id"] in logged

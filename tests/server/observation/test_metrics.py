"""Figures for Prometheus."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from scripted import EVENTS
from served import ScriptedService, Served

from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import EngineTotals, Overloaded

pytestmark = pytest.mark.pure

ROUTE = "/v1/audio/transcriptions"
UNITS = ("_seconds", "_bytes", "_total", "_info", "_rows", "_slots")
PLAIN = {"asr_requests", "asr_rejected", "asr_cancelled", "asr_tokens", "asr_window_retries",
         "asr_windows", "asr_decoder_steps", "asr_row_steps", "asr_draft_tokens",
         "asr_draft_tokens_accepted",
         "asr_requests_running", "asr_requests_waiting", "asr_ready", "asr_model"}  # fmt: skip


def samples(url: str) -> dict[tuple, float]:
    answer = httpx.get(url + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_s28_what_was_served_and_refused_is_counted() -> None:
    service = ScriptedService(*EVENTS)
    totals = EngineTotals(windows=3, steps=5, row_steps=7, tokens=8, draft_tokens_accepted=2)
    service.current = replace(service.current, totals=totals, audio_bytes=64_000)
    settings = ServerSettings(asr_model="a/b", diarization_model="c/d")
    with Served(create_app(service, settings)) as server:
        for fields in ({}, {"stream": "true"}, {"response_format": "xml"}):
            httpx.post(server.url + ROUTE, files={"file": b"RIFF"}, data=fields)
        service.refusal = Overloaded("busy", 1.0)
        httpx.post(server.url + ROUTE, files={"file": b"RIFF"})
        httpx.get(server.url + "/a secret path")
        counted = samples(server.url)
    assert counted["asr_requests_total", "/v1/audio/transcriptions", "200"] == 2
    assert counted["asr_requests_total", "/v1/audio/transcriptions", "429"] == 1
    assert counted["asr_requests_total", "404", "unknown"] == 1
    assert counted["asr_rejected_total", "queue_full"] == 1
    assert counted["asr_rejected_total", "invalid"] == 2
    assert counted["asr_audio_seconds_total", "transcribe"] == 8
    assert counted["asr_tokens_total",] == 8 and counted["asr_windows_total",] == 3
    assert counted["asr_decoder_steps_total",] == 5 and counted["asr_row_steps_total",] == 7
    assert counted["asr_draft_tokens_accepted_total",] == 2
    assert counted["asr_audio_buffer_bytes",] == 64_000
    assert counted["asr_stage_seconds_total", "decode_audio"] == pytest.approx(0.2)
    assert counted["asr_request_duration_seconds_count", ROUTE] == 2
    assert counted["asr_time_to_first_text_seconds_count", ROUTE] == 2
    assert counted["asr_batch_slots",] == 4 and counted["asr_ready",] == 1
    assert counted["process_open_fds",] > 0


def test_s28_names_end_with_their_units_and_help_is_given() -> None:
    with Served(create_app(ScriptedService(), ServerSettings(asr_model="a/b"))) as server:
        text = httpx.get(server.url + "/metrics").text
    for family in text_string_to_metric_families(text):
        if family.name.startswith("asr_") and not family.name.endswith("_created"):
            assert re.fullmatch("[a-z_]+", family.name) and family.documentation
            assert family.name in PLAIN or family.name.endswith(UNITS), family.name


def test_two_servers_count_apart() -> None:
    settings = ServerSettings(asr_model="a/b")
    with (
        Served(create_app(ScriptedService(), settings)) as one,
        Served(create_app(ScriptedService(), settings)) as other,
    ):
        httpx.get(one.url + "/health")
        assert ("asr_requests_total", "/health", "200") in samples(one.url)
        assert ("asr_requests_total", "/health", "200") not in samples(other.url)

"""Figures for Prometheus: base units, small label sets, nothing of what was said or by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from speech_endpoint import __version__
from speech_endpoint.server.observation.record import RequestRecord
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Service

BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
# `Transcript.timings_s` by the names of stages that dashboards read.
STAGES = {
    "decode": "decode_audio",
    "voice_activity": "voice_activity",
    "encoder": "encoder",
    "asr": "transcription",
    "diarization": "diarization",
}
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a caller who hung up."""


class Metrics:
    """Counts what records say; a registry of its own, so that two servers are two."""

    def __init__(
        self, service: Service, settings: ServerSettings, upload_bytes: Callable[[], int]
    ) -> None:
        """
        Args:
            service: asked for its status when somebody reads.
            settings: what is loaded.
            upload_bytes: how many are held now.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(_ServiceCollector(service, settings, upload_bytes))
        self._requests = self._counter("asr_requests", "Answers.", "route", "status")
        self._rejected = self._counter("asr_rejected", "Refusals.", "reason")
        self._cancelled = self._counter("asr_cancelled", "Callers who hung up.", "stage")
        self._audio = self._counter("asr_audio_seconds", "Audio served.", "task")
        self._speech = self._counter("asr_speech_seconds", "Speech in it.", "task")
        self._stages = self._counter("asr_stage_seconds", "Time that stages took.", "stage")
        self._uploaded = self._counter("asr_upload_bytes", "Bytes of bodies.")
        self._duration = self._histogram("asr_request_duration_seconds", "From first to last byte.")
        self._queue = self._histogram("asr_queue_wait_seconds", "Waiting for others.")
        self._first_text = self._histogram("asr_time_to_first_text_seconds", "Until text came.")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(name, what, ["route"], buckets=BUCKETS_S, registry=self.registry)

    def count(self, record: RequestRecord) -> None:
        """Take in a request that has ended."""
        self._requests.labels(record.route, str(record.status)).inc()
        self._uploaded.inc(record.body_bytes)
        if record.reject_reason:
            self._rejected.labels(record.reject_reason).inc()
        if record.status == CLIENT_CLOSED_REQUEST:
            self._cancelled.labels(record.stage).inc()
        if not record.task:
            return
        self._duration.labels(record.route).observe(record.elapsed_s)
        if record.queue_s is not None:
            self._queue.labels(record.route).observe(record.queue_s)
        if record.first_text_s is not None:
            self._first_text.labels(record.route).observe(record.first_text_s)
        if record.transcript is not None:
            self._audio.labels(record.task).inc(record.transcript["audio_s"])
            self._speech.labels(record.task).inc(record.transcript["speech_s"])
        for name, stage in STAGES.items():
            self._stages.labels(stage).inc(max(0.0, record.stages_s.get(name, 0.0)))

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class _ServiceCollector(Collector):
    """Gauges of the service, as it is when somebody reads."""

    def __init__(
        self, service: Service, settings: ServerSettings, upload_bytes: Callable[[], int]
    ) -> None:
        self.service, self.upload_bytes = service, upload_bytes
        self.models = {
            "version": __version__,
            "model": settings.asr_model,
            "drafter": settings.assistant_model or "",
            "diarizer": settings.diarization_model or "",
            "device": settings.device,
        }

    def collect(self) -> Iterator[Metric]:
        status = self.service.status()
        gauges = {
            "asr_requests_running": ("Requests at work.", status.jobs_running),
            "asr_requests_waiting": ("Requests that wait.", status.jobs_waiting),
            "asr_queued_audio_seconds": ("Speech not decoded yet.", status.queued_audio_s),
            "asr_estimated_wait_seconds": ("Of a new request.", status.estimated_wait_s),
            "asr_batch_rows": ("Windows in the batch.", status.batch_rows),
            "asr_batch_slots": ("Windows that it can hold.", status.batch_slots),
            "asr_upload_buffer_bytes": ("Bodies in memory.", self.upload_bytes()),
            "asr_audio_buffer_bytes": ("Decoded audio in memory.", status.audio_bytes),
            "asr_engine_heartbeat_age_seconds": (
                "Since the engine was last seen at work.",
                status.heartbeat_age_s,
            ),
            "asr_ready": ("Whether requests are served.", float(status.stage == "ready")),
        }
        for name, (what, value) in gauges.items():
            yield GaugeMetricFamily(name, what, value=value)
        totals = status.totals
        counters = {
            "asr_windows": ("Windows decoded.", totals.windows),
            "asr_decoder_steps": ("Steps of the batch.", totals.steps),
            "asr_row_steps": ("Steps times the windows in them.", totals.row_steps),
            "asr_tokens": ("Tokens written, for whoever hung up as well.", totals.tokens),
            "asr_draft_tokens": ("Draft tokens compared.", totals.draft_tokens),
            "asr_draft_tokens_accepted": ("Of them, right.", totals.draft_tokens_accepted),
            "asr_window_retries": ("Windows decoded again.", totals.window_retries),
        }
        for name, (what, value) in counters.items():
            yield CounterMetricFamily(name, what, value=value)
        yield InfoMetricFamily("asr_model", "What is loaded.", value=self.models)

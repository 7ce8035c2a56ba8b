"""What can be set about a server, beside what can be set about its models."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidSettings


class ServerSettings(ModelSettings):
    """The models, limits and doors of a server, read from environment variables of these names."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """0: any that is free."""

    api_keys: SecretStr | None = None
    """Comma separated; a caller must send one of them."""
    api_keys_file: str | None = None
    """One key a line; read again on SIGHUP."""
    allow_anyone: bool = False
    """Serve without keys beyond this machine: somebody else checks who calls."""
    hosts: str = ""
    """Names, comma separated, that a server without keys answers to, beside those of loopback."""
    cors_origins: str = ""
    """Origins, comma separated, whose pages may call ("https://a.example")."""
    frame_ancestors: str = ""
    """Origins, comma separated, that may show the page in a frame ("https://huggingface.co")."""
    metrics_open: bool = False
    """Whether /metrics needs no key."""

    model_names: Literal["any", "strict"] = "any"
    """strict: refuse a `model` that /v1/models does not list."""
    log_format: Literal["json", "text"] = "json"

    upload_memory_mb: int = Field(default=1024, ge=1)
    """For the bodies of all requests together, MiB."""
    upload_timeout_s: float = Field(default=30.0, gt=0)
    """A body may stand still for so long."""
    max_wait_s: float = Field(default=120.0, gt=0)
    """Longest estimated wait; who would wait longer is refused."""
    max_requests: int = Field(default=64, ge=1)
    """At work or waiting."""
    audio_memory_mb: int = Field(default=2048, ge=1)
    """For the decoded audio of all requests together, MiB."""
    max_slots: int = Field(default=24, ge=1)
    """Windows that are decoded together."""
    request_timeout_s: float = Field(default=3600.0, gt=0)
    """From admission to the last byte."""
    drain_delay_s: float = Field(default=5.0, ge=0)
    """After SIGTERM, how long a balancer may take to notice."""
    drain_s: float = Field(default=25.0, ge=0)
    """After SIGTERM, how long what runs may take to finish."""

    def __init__(self, **values: Any) -> None:
        """
        Raises:
            InvalidSettings: naming each variable that is wrong, and what is allowed.
        """
        super().__init__(**values)
        if not (self.has_keys or self.allow_anyone or is_loopback(self.host)):
            raise InvalidSettings(
                f"HOST: {self.host} can be reached from other machines; set API_KEYS or"
                " API_KEYS_FILE, or ALLOW_ANYONE=1 where something else checks who calls"
            )
        if self.upload_memory_mb < self.max_payload_mb:
            # Where nobody else uploads, the largest payload must fit.
            self.max_payload_mb = self.upload_memory_mb

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: str) -> str:
        for origin in listed(origins):
            scheme, separator, rest = origin.partition("://")
            if not separator or not scheme or not rest or "/" in rest or "*" in rest:
                raise ValueError("expected origins such as https://a.example, comma separated")
        return origins

    @field_validator("frame_ancestors")
    @classmethod
    def _check_ancestors(cls, origins: str) -> str:
        # They go into a header, and a policy ends at a semicolon.
        for origin in listed(origins):
            if not re.fullmatch(r"https?://(\*\.)?[\w.-]+(:\d+)?", origin, re.ASCII):
                raise ValueError(
                    "expected origins such as https://a.example or https://*.a.example, comma"
                    " separated"
                )
        return origins

    @property
    def has_keys(self) -> bool:
        return bool(self.api_keys or self.api_keys_file)


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma separated text."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine's own, reached by nobody else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

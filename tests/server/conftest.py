"""A server on a free port, around the real models."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Iterator
from typing import Any

import pytest
from paths import REPOSITORY

# The host's environment has an older Starlette; `make server-test` has an environment of its own.
IS_SERVER_ENVIRONMENT = int(importlib.metadata.version("starlette").split(".")[0]) >= 1
collect_ignore_glob = [] if IS_SERVER_ENVIRONMENT else ["test_*.py", "**/test_*.py"]


@pytest.fixture(scope="session")
def settings(environment: None) -> Any:
    """Of a server with every model, and small limits."""
    from speech_endpoint.server.settings import ServerSettings

    return ServerSettings(max_payload_mb=2, upload_memory_mb=8)


@pytest.fixture(scope="session")
def service(settings: Any) -> Iterator[Any]:
    """What answers requests; nothing here depends on which service it is."""
    from speech_endpoint.service.backlog import ServiceLimits
    from speech_endpoint.service.resident import ResidentService

    service = ResidentService(settings, ServiceLimits(), str(REPOSITORY))
    service.start()
    while service.status().stage not in ("ready", "failed"):
        time.sleep(0.05)
    assert service.status().stage == "ready", service.status().detail
    yield service
    service.close()


@pytest.fixture(scope="session")
def url(service: Any, settings: Any) -> Iterator[str]:
    from served import Served

    from speech_endpoint.server.app import create_app

    with Served(create_app(service, settings, keep_alive_s=0.2)) as served:
        yield served.url

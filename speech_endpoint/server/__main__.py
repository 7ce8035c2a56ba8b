"""`python -m speech_endpoint.server`: serve with what the environment says."""

from __future__ import annotations

import sys

from speech_endpoint.errors import InvalidSettings
from speech_endpoint.server.settings import ServerSettings

EX_CONFIG = 78
"""Of sysexits.h: settings that nothing can start with."""


def main() -> int:
    """Serve; the exit code."""
    try:
        settings = ServerSettings()
    except InvalidSettings as error:
        print(f"error: {error}", file=sys.stderr)
        return EX_CONFIG
    # PyTorch takes seconds to import, which nobody who mistyped a setting need wait.
    from speech_endpoint.server.run import serve
    from speech_endpoint.service.backlog import ServiceLimits
    from speech_endpoint.service.resident import ResidentService

    limits = ServiceLimits(
        max_wait_s=settings.max_wait_s,
        max_requests=settings.max_requests,
        audio_memory_mb=settings.audio_memory_mb,
        max_slots=settings.max_slots,
    )
    return serve(ResidentService(settings, limits), settings)


if __name__ == "__main__":
    sys.exit(main())

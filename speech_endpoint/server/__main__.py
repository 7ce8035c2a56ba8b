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
    from speech_endpoint.server.run import serve_models

    return serve_models(settings)


if __name__ == "__main__":
    sys.exit(main())

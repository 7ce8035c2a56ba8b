"""What can be set about a cluster, beside what can be set about a server."""

from __future__ import annotations

from speech_endpoint.server.settings import ServerSettings


class ClusterSettings(ServerSettings):
    """The settings of a server; each replica reads those of its own environment.

    How many replicas there are, and what each may use, is Ray Serve's to set.
    """

    host: str = "0.0.0.0"
    """Where Serve's proxies listen, which its own `http_options` decide: unless this says that
    nobody else can reach them, keys are wanted."""

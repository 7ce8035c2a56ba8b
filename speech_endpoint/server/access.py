"""Who may call: keys, and without keys only this machine and pages that it serves."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.page import PAGE_PATHS
from speech_endpoint.server.settings import ServerSettings, is_loopback, listed

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/ping"}) | PAGE_PATHS
"""Of GET: what probes read, and the page."""
HASH_DIGITS = 6
"""Of a key's hash in the log: enough to tell a few keys apart, of no use to a thief."""


class Keyring:
    """The keys that callers may send, as hashes."""

    def __init__(self, settings: ServerSettings) -> None:
        """
        Raises:
            OSError: the file of keys cannot be read.
        """
        self._settings = settings
        self._hashes: frozenset[bytes] = frozenset()
        self.reload()

    def reload(self) -> None:
        """Read the file of keys again; raises OSError, and then the old keys stay."""
        settings = self._settings
        keys = listed(settings.api_keys.get_secret_value()) if settings.api_keys else ()
        if settings.api_keys_file:
            lines = Path(settings.api_keys_file).read_text().splitlines()
            keys += tuple(line.strip() for line in lines if line.strip())
        self._hashes = frozenset(map(_hash, keys))

    def find(self, key: str) -> str | None:
        """The first digits of a key's hash, if it is one of ours.

        Every key is compared, in a time that tells nothing of them.
        """
        given = _hash(key)
        known = [hmac.compare_digest(given, each) for each in self._hashes]
        return given.hex()[:HASH_DIGITS] if any(known) else None


class Access:
    """Decides on each request by its headers."""

    def __init__(self, settings: ServerSettings) -> None:
        self.keyring = Keyring(settings) if settings.has_keys else None
        self._allow_anyone = settings.allow_anyone
        self._metrics_open = settings.metrics_open
        self._hosts = frozenset(name.lower() for name in listed(settings.hosts))
        self._origins = frozenset(listed(settings.cors_origins))

    def check(self, scope: Scope) -> str | None:
        """The caller's key, as `Keyring.find` has it; None where none is asked for.

        Raises:
            ApiError: 401, no key or a wrong one; 421, a name that is not this server's; 403, a page
                of another.
        """
        headers = Headers(scope=scope)
        if self.keyring is not None:
            return None if self._is_open(scope) else self._check_key(headers)
        if not self._allow_anyone:
            self._check_host(headers)
            self._check_origin(headers)
        return None

    def _is_open(self, scope: Scope) -> bool:
        if scope["method"] not in ("GET", "HEAD"):
            return False
        return scope["path"] in OPEN_PATHS or (scope["path"] == "/metrics" and self._metrics_open)

    def _check_key(self, headers: Headers) -> str:
        assert self.keyring is not None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        key = bearer or headers.get("x-api-key") or headers.get("api-key") or ""
        found = self.keyring.find(key) if key else None
        if found is None:
            what = "the key is wrong" if key else "no key; send Authorization: Bearer <key>"
            raise ApiError(401, "invalid_api_key", what, headers={"www-authenticate": "Bearer"})
        return found

    def _check_host(self, headers: Headers) -> None:
        # A page may have its own name resolve to this machine (DNS rebinding): browsers then take
        # this server for the page's own.
        name = _split(f"//{headers.get('host', '')}").hostname or ""
        if not (is_loopback(name) or name in self._hosts):
            raise ApiError(
                421,
                "misdirected_request",
                "host: not a name of this server; set HOSTS to the names that it has",
            )

    def _check_origin(self, headers: Headers) -> None:
        # Browsers let any page send a form anywhere; they only keep the answer from it.
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return
        if _split(origin).netloc.lower() != headers.get("host", "").lower():
            raise ApiError(
                403, "origin_not_allowed", "origin: pages of others may call only by CORS_ORIGINS"
            )


def _split(url: str) -> SplitResult:
    """A URL's parts; none of one that cannot be read."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

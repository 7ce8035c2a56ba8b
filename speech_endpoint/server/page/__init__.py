"""The page: static files that use the public API, and the routes that serve them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT = Path(__file__).parent
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Of the files that are served; others are not."""
FILES = {"/": ROOT / "index.html"} | {
    f"/{file.relative_to(ROOT).as_posix()}": file
    for file in sorted(ROOT.rglob("*"))
    if file.suffix in CONTENT_TYPES and file.name != "index.html"
}
PAGE_PATHS = frozenset(FILES)
"""What anybody may read, who has a key or not: the page asks for it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " media-src blob:; connect-src 'self'; worker-src 'self'; font-src 'self';"
    " form-action 'none'; base-uri 'none';"
    " frame-ancestors 'self'"
)


def page_routes(frame_ancestors: Sequence[str] = ()) -> list[Route]:
    """Routes of the page, "/" first, and of each of its files; nothing is listed.

    The files are small and read once. A browser asks for them again each time, and is told that
    nothing has changed.

    Args:
        frame_ancestors: origins that may show the page in a frame, beside its own.
    """
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": " ".join((POLICY, *frame_ancestors)),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return [_route(path, file, headers) for path, file in FILES.items()]


def _route(path: str, file: Path, headers: dict[str, str]) -> Route:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**headers, "ETag": tag, "Content-Type": CONTENT_TYPES[file.suffix]}

    async def serve(request: Request) -> Response:
        known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
        # A proxy that compresses makes a strong tag a weak one.
        if tag in known or f"W/{tag}" in known:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return Route(path, serve, methods=["GET"])

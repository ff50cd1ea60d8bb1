"""The server around the pages: security headers on every response, the store's life, and a readiness route.

The policy lets the page talk to its own server and to nothing else, so that no text on it, however it was marked up,
can fetch or send anything. Streamlit's own code needs the two `unsafe` script sources.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sedi_engine import service
from sedi_engine.logins import COOKIE, LONGEST_S, TICKET_HEADER
from store.errors import StudioError

POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "frame-src": "'self' data: blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class SecurityHeaders:
    """Puts HEADERS on every HTTP response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the inner app does, with the headers added."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Open the store with the server and close it with it; one that cannot be opened is told by every page."""
    await asyncio.to_thread(_why_not_ready)
    try:
        yield
    finally:
        await asyncio.to_thread(service.close_current)


async def ready(_request: Request) -> JSONResponse:
    """200 once the store is open, else 503 with the reason in words."""
    error = await asyncio.to_thread(_why_not_ready)
    if error is None:
        return JSONResponse({"ready": True})
    return JSONResponse({"ready": False, "error": error.message, "next_step": error.next_step}, status_code=503)


def _why_not_ready() -> StudioError | None:
    try:
        service.current()
    except StudioError as error:
        return error
    return None


async def login(request: Request) -> Response:
    """Change a ticket for the cookie of a login, or for having it taken away; 403 for any that is not good."""
    # a header of ours: another site's page cannot send it
    token = await asyncio.to_thread(_take, request.headers.get(TICKET_HEADER, ""))
    answer = Response(status_code=403 if token is None else 204)
    if token is not None:
        answer.set_cookie(
            COOKIE,
            token,
            max_age=LONGEST_S if token else 0,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
    return answer


def _take(ticket: str) -> str | None:
    with contextlib.suppress(StudioError):
        return service.current().logins.take(ticket)
    return None


middleware = [Middleware(SecurityHeaders)]
routes = [Route("/readyz", ready), Route("/login", login, methods=["POST"])]

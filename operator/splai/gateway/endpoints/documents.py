"""What the gateway says of itself: the root document with its links, the OpenAPI document, and a page that shows it."""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from splai import __version__
from splai.gateway.endpoints.openapi import openapi_document

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True)
class Branding:
    """What the API is called: by default SPLAI's gateway, in front of one application that application."""

    title: str
    description: str
    version: str = __version__


class Documents:
    """The handlers of ``/v1/``, ``/openapi.json`` and ``/docs``."""

    def __init__(self, branding: Branding) -> None:
        self._branding = branding
        described = openapi_document(branding.title, branding.description, branding.version)
        self._openapi = orjson.dumps(described)
        self._page = files(__package__).joinpath("docs.html").read_bytes()
        self._policy = _content_security_policy(self._page)

    def root(self, prefix: str) -> Callable[[Request], Awaitable[Response]]:
        """Answers with the document at the root of ``prefix``, whose links lead on."""
        document = _root_document(self._branding, prefix)

        async def handler(_: Request) -> Response:
            return JSONResponse(document)

        return handler

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._openapi, media_type="application/json")

    async def page(self, _: Request) -> Response:
        """Shows the OpenAPI document and sends requests; it loads nothing from elsewhere and needs no internet."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy})


def with_slash(prefix: str) -> Callable[[Request], Awaitable[Response]]:
    """Answers with the way to the root document: a path alone, so that it holds behind any proxy."""

    async def handler(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return Response(status_code=307, headers={"Location": f"{prefix}/{query}"})

    return handler


def _root_document(branding: Branding, prefix: str) -> dict[str, Any]:
    return {
        "name": f"{branding.title} API",
        "version": branding.version,
        "description": branding.description,
        "links": {
            "self": {"href": f"{prefix}/", "method": "GET"},
            "models": {"href": f"{prefix}/models", "method": "GET", "description": "List available AI models"},
            "chat": {"href": f"{prefix}/chat/completions", "method": "POST", "description": "Create chat completion"},
            "docs": {"href": "/docs", "method": "GET", "description": "Interactive API documentation"},
        },
        "capabilities": {"streaming": True, "openai_compatible": True, "workflow_based": True},
        "supported_formats": {
            "request": "application/json",
            "response": ["application/json", "text/event-stream"],
        },
    }


def _content_security_policy(page: bytes) -> str:
    """The page's own script and this server, nothing else: descriptions come from settings, answers from models."""
    script = _SCRIPT.search(page)
    if script is None:
        raise ValueError("docs.html has no script")
    digest = base64.b64encode(sha256(script[1]).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

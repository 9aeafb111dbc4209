"""An HTTP server on loopback that tests script: files, ranges, redirects, and connections that break."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """What somebody asked for."""

    path: str
    headers: dict[str, str]


@dataclass
class Reply:
    """What somebody gets; of ``body`` only so much as ``breaks_at`` says, although the head announces all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    breaks_at: int | None = None


@dataclass
class FileServer:
    """``answer`` may be changed at any time."""

    url: str = ""
    answer: Callable[[Request], Reply] = lambda request: Reply(404)
    requests: list[Request] = field(default_factory=list)


def serve_file(content: bytes, *, etag: str | None = None, breaks_at: int | None = None, **headers: str) -> Any:
    """Answers with a file and its ranges, as a web server does; each answer breaks after so many bytes."""

    def answer(request: Request) -> Reply:
        shown = {**headers, **({"ETag": etag} if etag else {})}
        asked = request.headers.get("range")
        validator = etag or headers.get("Last-Modified")
        if asked is None or request.headers.get("if-range") not in (None, validator):
            return Reply(200, content, shown, breaks_at)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        shown["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Reply(206, content[start:], shown, breaks_at)

    return answer


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A server that runs."""
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
            server.requests.append(request)
            reply = server.answer(request)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who wants only the beginning hangs up
                self.wfile.write(reply.body[: reply.breaks_at])
            self.close_connection = reply.breaks_at is not None

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()

"""A ServiceAccount's cloud identity as EKS Pod Identity gives it to a pod, for MinIO's credentials.

The kubelet mounts a token as a file and sets two variables: where to ask for credentials, and where the token is. An
agent on the node, which is a server on loopback here, takes the token and answers with credentials.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.integration.minio import Minio


@contextmanager
def pod_identity(minio: Minio, directory: Path) -> Iterator[dict[str, str]]:
    """The variables of a pod with that identity; its token lies in the directory."""
    token = secrets.token_hex(16)
    (directory / "token").write_text(token)
    # An account that lasts has no session: MinIO would refuse a token of one.
    credentials = {
        "AccessKeyId": minio.access_key,
        "SecretAccessKey": minio.secret_key,
        "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    }

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers.get("Authorization") == token
            body = json.dumps(credentials if is_known else {}).encode()
            self.send_response(200 if is_known else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """The test's output is not the place."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(directory / "token"),
        }
        server.shutdown()

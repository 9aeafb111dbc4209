"""The few calls to an apiserver that running a cluster needs, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from local_cluster.certificates import Certificate

Json = dict[str, Any]

FIELD_MANAGER = "local-cluster"


class ApiError(Exception):
    """The apiserver refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Requests over one connection that is kept alive; not for use by two threads at once."""

    def __init__(self, server: str, *, authority: Path, login: Certificate | None) -> None:
        parts = urlsplit(server)
        self._context = ssl.create_default_context(cafile=str(authority))
        if login is not None:
            self._context.load_cert_chain(login.certificate, login.key)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._connection = self._connect(timeout=10)

    def get(self, path: str) -> Json:
        """Read an object or a list."""
        return self._json("GET", path)

    def create(self, path: str, body: Json) -> Json:
        """Create an object in a collection."""
        return self._json("POST", path, body, "application/json")

    def apply(self, path: str, body: Json) -> Json:
        """Create or change an object by server-side apply."""
        query = f"?fieldManager={FIELD_MANAGER}&force=true"
        return self._json("PATCH", path + query, body, "application/apply-patch+yaml")

    def merge(self, path: str, patch: Json) -> Json:
        """Change some fields of an object."""
        return self._json("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object; it may be gone already."""
        try:
            self._json("DELETE", path)
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def healthy(self, path: str) -> str | None:
        """None when a health endpoint answers with success, else why not."""
        try:
            status, body = self._send("GET", path, None, {})
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        return None if status == http.HTTPStatus.OK else body.decode(errors="replace")[-500:]

    def watch(self, path: str, resource_version: str, *, seconds: int) -> Iterator[Json]:
        """The events of a collection after a version, until the server ends the watch after `seconds`."""
        connection = self._connect(timeout=seconds + 30)
        query = f"?watch=true&timeoutSeconds={seconds}&resourceVersion={quote(resource_version)}"
        try:
            connection.request("GET", path + query)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise ApiError(response.status, response.read().decode(errors="replace"))
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _connect(self, *, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=timeout)

    def _json(self, method: str, path: str, body: Json | None = None, content_type: str = "") -> Json:
        headers = {"Content-Type": content_type} if content_type else {}
        status, answer = self._send(method, path, body, headers)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(status, _message(answer))
        decoded: Json = json.loads(answer)
        return decoded

    def _send(self, method: str, path: str, body: Json | None, headers: dict[str, str]) -> tuple[int, bytes]:
        payload = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, body=payload, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request starts on a fresh connection
            raise


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:500]

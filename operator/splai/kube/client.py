"""A small asynchronous client: dicts in, dicts out, one class of error for each reaction.

``kubernetes.aio`` is only the transport (connection pool, TLS, credentials and their refresh). Its typed models are
left out on purpose: they drop fields they do not know and cost six times the CPU on lists.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration

from splai import __version__
from splai.core.field_ownership import FIELD_MANAGER
from splai.kube.errors import Gone, error_from_status, unreachable
from splai.kube.resource import Resource

Object = dict[str, Any]
RequestObserver = Callable[[str, Resource, int], None]
"""Called after each request with (verb, resource, status code); status 0 means no answer."""
Fence = Callable[[], None]
"""Called before each write; raises when this process may not write any more."""

PAGE_SIZE = 500
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
WATCH_SECONDS = 300
WATCH_SILENCE = 90.0  # bookmarks come every minute: a longer silence is a dead connection

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML


@dataclass(frozen=True)
class Page:
    """A part of a list; every page of one list shows the same resourceVersion."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED or BOOKMARK (of which only the resourceVersion counts)."""

    type: str
    object: Object


class Client:
    """Calls to one apiserver over one bounded connection pool, watches beside it; make one for a process's life.

    Every call raises ApiError, in the class that says how to react; a write also what the fence raises.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        component: str,
        observe: RequestObserver = lambda *_: None,
        fence: Fence = lambda: None,
    ) -> None:
        streams = copy(configuration)
        streams.connection_pool_maxsize = 0  # no limit: watches hold theirs for ever, and calls must not wait for one
        self._transport = _transport(configuration, component)
        self._streams = _transport(streams, component)
        self._observe = observe
        self._fence = fence

    async def close(self) -> None:
        await self._transport.close()
        await self._streams.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object; raises NotFound."""
        return await self._call("get", "GET", resource, resource.path(namespace, name))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        limit: int = PAGE_SIZE,
    ) -> AsyncGenerator[Page]:
        """A list in pages; ``namespace`` None is all of them. Raises Gone when it took too long: start again.

        ``selector`` is about labels, ``fields`` about the few fields that the resource can be listed by.
        """
        token = ""
        while True:
            query = {"limit": str(limit), "labelSelector": selector, "fieldSelector": fields, "continue": token}
            body = await self._call("list", "GET", resource, resource.path(namespace), query)
            metadata = body.get("metadata") or {}
            yield Page(body.get("items") or [], metadata.get("resourceVersion", ""))
            token = metadata.get("continue") or ""
            if not token:
                return

    async def list(
        self, resource: Resource, namespace: str | None = None, *, selector: str = "", fields: str = ""
    ) -> Page:
        """All objects at one resourceVersion, at once if the pages expired under way; raises Gone if that does too."""
        for limit in (PAGE_SIZE, 0):
            items: list[Object] = []
            try:
                async for page in self.pages(resource, namespace, selector=selector, fields=fields, limit=limit):
                    items += page.items
            except Gone:
                continue
            return Page(items, page.resource_version)
        raise Gone(f"the list of {resource.name} expired while it was read")

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        """POST; raises AlreadyExists."""
        query = {"fieldManager": FIELD_MANAGER}
        return await self._call("create", "POST", resource, resource.path(namespace), query, body)

    async def apply(self, resource: Resource, namespace: str | None, body: Object, *, force: bool = False) -> Object:
        """Server-side apply of exactly these fields; without ``force`` another manager's field is a Conflict."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        path = resource.path(namespace, body["metadata"]["name"])
        return await self._call("apply", "PATCH", resource, path, query, body, _APPLY_PATCH)

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        """A merge patch."""
        path = resource.path(namespace, name)
        return await self._call("patch", "PATCH", resource, path, {"fieldManager": FIELD_MANAGER}, body, _MERGE_PATCH)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        """A merge patch of the status subresource; ``body`` is the whole object's patch: ``{"status": …}``.

        Returns the object's metadata alone: the apiserver writes, and we read, a third less for it.
        """
        path = resource.path(namespace, name, "status")
        query = {"fieldManager": FIELD_MANAGER}
        reply = await self._call("patch_status", "PATCH", resource, path, query, body, _MERGE_PATCH, accept=_METADATA)
        return cast("Object", reply["metadata"])

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        """PUT; with ``metadata.resourceVersion`` in the body it is a compare-and-swap that raises Conflict."""
        path = resource.path(namespace, name)
        return await self._call("replace", "PUT", resource, path, {"fieldManager": FIELD_MANAGER}, body)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
    ) -> Object:
        """Delete one object, and in the background what it owns; with ``uid`` another object of its name is a Conflict.

        Returns the object when it lingers (finalizers), else a Status. Raises NotFound.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        return await self._call("delete", "DELETE", resource, resource.path(namespace, name), body=options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        selector: str = "",
        timeout_seconds: int = WATCH_SECONDS,
    ) -> AsyncGenerator[WatchEvent]:
        """Changes after ``resource_version``, bookmarks included; ends when the apiserver ends it: watch again.

        Raises Gone when the version is too old, Unavailable when the connection breaks or falls silent.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": selector,
            "timeoutSeconds": str(timeout_seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=WATCH_SILENCE)
        path = resource.path(namespace)
        response = await self._send("watch", "GET", resource, path, query, timeout=timeout, transport=self._streams)
        try:
            async for line in _lines(response):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise error_from_status(event["object"].get("code", 500), event["object"])
                yield WatchEvent(event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(resource, error) from error
        finally:
            response.close()

    async def _call(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        response = await self._send(verb, method, resource, path, query, body, content_type, accept)
        try:
            return cast("Object", orjson.loads(await response.read()))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(resource, error) from error

    async def _send(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT,  # noqa: ASYNC109 - it is the transport's own
        transport: Any = None,
    ) -> aiohttp.ClientResponse:
        """The reply with its body still to be read; raises for anything but success."""
        if method != "GET":
            self._fence()
        transport = transport or self._transport
        headers = {"Content-Type": content_type, "Accept": accept, **transport.default_headers}
        await transport.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = transport.configuration.host + path
        if parameters := {key: value for key, value in (query or {}).items() if value}:
            url += "?" + urlencode(parameters)
        try:
            reply = await transport.call_api(method, url, headers, body, _request_timeout=timeout)
            response = cast("aiohttp.ClientResponse", reply.response)
            if response.status < 400:
                self._observe(verb, resource, response.status)
                return response
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._observe(verb, resource, 0)
            raise unreachable(resource, error) from error
        self._observe(verb, resource, response.status)
        raise error_from_status(response.status, _decoded(text), retry_after=response.headers.get("Retry-After"))


def _transport(configuration: Configuration, component: str) -> Any:
    transport = cast("Any", ApiClient)(configuration)
    transport.user_agent = f"splai-{component}/{__version__}"
    return transport


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text.decode(errors="replace")


async def _lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Whole lines of any length: the reader's own readline() refuses those above its buffer."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield bytes(rest) + line
            rest.clear()
        rest += tail
        await asyncio.sleep(0)  # a long burst of events must not starve the loop

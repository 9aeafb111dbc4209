"""An apiserver in a dict: resourceVersions, preconditions and merge patches as the real one has them.

For tests of what happens over time, where a real apiserver would make them wait. What depends on the apiserver's own
rules is tested on a real one.
"""

import copy
from collections.abc import AsyncGenerator
from typing import Any

from splai.kube.client import Client, Object, Page
from splai.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from splai.kube.resource import Resource

Place = tuple[Resource, str | None, str]


class MemoryClient(Client):
    """Keeps objects; ``fail`` is raised by the next call, ``writes`` and ``selectors`` list what was asked for."""

    def __init__(self) -> None:
        self.objects: dict[Place, Object] = {}
        self.version = 1
        self.writes: list[tuple[str, str]] = []
        self.fail: list[ApiError] = []
        self.selectors: list[tuple[str, str]] = []

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        self._may_fail()
        try:
            return copy.deepcopy(self.objects[resource, namespace, name])
        except KeyError:
            raise NotFound(f'{resource.plural} "{name}" not found') from None

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        limit: int = 500,
    ) -> AsyncGenerator[Page]:
        self._may_fail()
        self.selectors.append((selector, fields))
        items = [
            copy.deepcopy(body)
            for (kind, place, _), body in self.objects.items()
            if kind == resource and namespace in (None, place)
        ]
        version = str(self.version)
        size = limit or max(1, len(items))
        for first in range(0, max(1, len(items)), size):
            yield Page(items[first : first + size], version)

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        self._may_fail()
        name = body["metadata"]["name"]
        self.writes.append(("create", f"{resource.plural}/{name}"))
        if (resource, namespace, name) in self.objects:
            raise AlreadyExists(f'{resource.plural} "{name}" already exists')
        stored = copy.deepcopy(body)
        stored["metadata"] |= {"namespace": namespace, "uid": f"uid-{self.version}"}
        return self.store(resource, stored)

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        self._may_fail()
        self.writes.append(("replace", f"{resource.plural}/{name}"))
        current = self.objects[resource, namespace, name]
        if body["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        return self.store(resource, body)

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        current = await self.get(resource, namespace, name)
        self.writes.append(("patch", f"{resource.plural}/{name}"))
        return self.store(resource, merged(current, body))

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        self._may_fail()
        self.writes.append(("patch_status", f"{resource.plural}/{name}"))
        current = await self.get(resource, namespace, name)
        wanted = body.get("metadata", {})
        if wanted.get("resourceVersion") not in (None, current["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified")
        current["status"] = merged(current.get("status", {}), body["status"])
        metadata: Object = self.store(resource, current)["metadata"]
        return metadata

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
    ) -> Object:
        current = await self.get(resource, namespace, name)
        if uid not in (None, current["metadata"]["uid"]):
            raise Conflict("Precondition failed: UID in precondition does not match")
        self.writes.append(("delete", f"{resource.plural}/{name}"))
        self.remove(resource, namespace, name)
        return {"kind": "Status"}

    async def close(self) -> None:
        pass

    def store(self, resource: Resource, body: Object) -> Object:
        """Put an object there as somebody else would."""
        self.version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[resource, stored["metadata"].get("namespace"), stored["metadata"]["name"]] = stored
        return copy.deepcopy(stored)

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object without anybody being told."""
        self.version += 1
        del self.objects[resource, namespace, name]

    def _may_fail(self) -> None:
        if self.fail:
            raise self.fail.pop(0)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result

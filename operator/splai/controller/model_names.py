"""Whose a model's name is at the gateway, where several namespaces serve it: the namespace of the oldest backend.

The gateway's route tables (gateway/routing/routes.py) go by the same rule. Others' names are only known where the
operator watches their namespaces.
"""

from collections import defaultdict
from typing import NamedTuple

from splai.api.model_backend import ModelBackend
from splai.kube.cache import Entry

Place = tuple[str, str]
"""Namespace and name of a backend."""


class _Serving(NamedTuple):
    """Sorts by age, as the gateway does."""

    created: str
    namespace: str
    name: str


class ModelNames:
    """All backends by the names that they serve."""

    def __init__(self) -> None:
        self._serving: defaultdict[str, dict[str, _Serving]] = defaultdict(dict)  # by name, then by UID

    def change(self, before: Entry[ModelBackend] | None, after: Entry[ModelBackend] | None) -> set[Place]:
        """Take in a change of a backend; gives back the other backends that it may matter to."""
        old, new = _names(before), _names(after)
        if old == new and before is not None and after is not None and before.uid == after.uid:
            return set()
        if before is not None:
            for name in old:
                self._forget(name, before.uid)
        if after is not None:
            serving = _Serving(str(after.value.metadata.get("creationTimestamp", "")), after.namespace, after.name)
            for name in new:
                self._serving[name][after.uid] = serving
        own = {(entry.namespace, entry.name) for entry in (before, after) if entry is not None}
        return {place for name in old | new for place in self._places(name, own)} - own

    def taken(self, backend: ModelBackend) -> dict[str, str]:
        """The names of the backend that mean another namespace's model at the gateway, and which namespace's."""
        own = backend.metadata["namespace"]
        holders = {name: self._holder(name) for name in backend.spec.model.ids}
        return {name: holder for name, holder in holders.items() if holder not in (None, own)}

    def _places(self, name: str, changed: set[Place]) -> set[Place]:
        """Those who serve the name, if more than one namespace does or did."""
        places = {(it.namespace, it.name) for it in self._serving.get(name, {}).values()}
        return places if len({namespace for namespace, _ in places | changed}) > 1 else set()

    def _holder(self, name: str) -> str | None:
        oldest = min(self._serving.get(name, {}).values(), default=None)
        return oldest.namespace if oldest else None

    def _forget(self, name: str, uid: str) -> None:
        self._serving[name].pop(uid, None)
        if not self._serving[name]:
            del self._serving[name]


def _names(entry: Entry[ModelBackend] | None) -> frozenset[str]:
    return frozenset(entry.value.spec.model.ids) if entry is not None else frozenset()

"""What the apiserver last told us, by name, by UID and by one index of the collection's own.

Three sources write into a collection: watch events, replies to our own writes, and the periodic list that replaces
it. They arrive in any order, so each object's resourceVersion decides which one is newer; Kubernetes compares them as
integers since KEP-5504. Writing our own replies into the cache is what spares a second reconcile that would still
see the world before the write.

Only what ``convert`` keeps of an object stays in memory, and of objects that are hardly looked at any more only a
compressed text of it: as a value a finished job takes ten times as much.
"""

import logging
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, cast

from pydantic import ValidationError

from splai.api.base import wrong_fields
from splai.kube.client import Object
from splai.kube.resource import Resource

ValueT = TypeVar("ValueT")

_log = logging.getLogger(__name__)


class Shelf(Protocol[ValueT]):
    """What becomes of values that are hardly looked at any more."""

    def takes(self, value: ValueT) -> bool:
        """Whether this is such a value."""

    def pack(self, value: ValueT) -> bytes:
        """All of it, in little space."""

    def unpack(self, packed: bytes) -> ValueT:
        """The same value again."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[ValueT]):
    """One object: its identity, and the value made of it."""

    namespace: str
    name: str
    uid: str
    version: int
    index: Hashable | None
    value: ValueT


class Collection(Generic[ValueT]):
    """The objects of one resource."""

    def __init__(
        self,
        resource: Resource,
        convert: Callable[[Object], ValueT],
        *,
        index: Callable[[ValueT], Hashable | None],
        shelf: Shelf[ValueT] | None = None,
    ) -> None:
        self.resource = resource
        self.highest_version = 0
        """The newest resourceVersion ever seen, of an object or of a list."""
        self._convert = convert
        self._index = index
        self._shelf = shelf
        self._by_uid: dict[str, Entry[Any]] = {}  # with values, or with what the shelf made of them
        self._by_name: dict[tuple[str, str], str] = {}
        self._by_index: dict[Hashable, set[str]] = {}
        self._unreadable: dict[str, tuple[str, int]] = {}  # namespace and version by UID
        self._deleted_meanwhile: set[str] | None = None

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[Entry[ValueT]]:
        return map(self._opened, tuple(self._by_uid.values()))

    def get(self, namespace: str, name: str) -> Entry[ValueT] | None:
        uid = self._by_name.get((namespace, name))
        return None if uid is None else self._opened(self._by_uid[uid])

    def by_uid(self, uid: str) -> Entry[ValueT] | None:
        entry = self._by_uid.get(uid)
        return None if entry is None else self._opened(entry)

    def knows(self, uid: str) -> bool:
        """Whether the object is there, also one that cannot be read."""
        return uid in self._by_uid or uid in self._unreadable

    def place(self, uid: str) -> tuple[str, str] | None:
        """Namespace and name of the object, if it is there."""
        entry = self._by_uid.get(uid)
        return None if entry is None else (entry.namespace, entry.name)

    def sizes(self) -> dict[Hashable, int]:
        """How many objects there are with each index."""
        return {key: len(members) for key, members in self._by_index.items()}

    def places(self, key: Hashable) -> list[tuple[str, str]]:
        """Namespace and name of the objects with this index."""
        entries = (self._by_uid[uid] for uid in self._by_index.get(key, ()))
        return sorted((entry.namespace, entry.name) for entry in entries)

    def indexed(self, key: Hashable) -> tuple[Entry[ValueT], ...]:
        """The objects with this index, by name, so that decisions do not depend on the order of arrival."""
        entries = [self._opened(self._by_uid[uid]) for uid in self._by_index.get(key, ())]
        return tuple(sorted(entries, key=lambda entry: (entry.namespace, entry.name)))

    def is_news(self, body: Object) -> bool:
        """Whether nothing as new is known of the object."""
        known = self._by_uid.get(body["metadata"]["uid"])
        return known is None or known.version < int(body["metadata"]["resourceVersion"])

    def put(self, body: Object) -> Entry[ValueT] | None:
        """Take in an object; None when what is known is as new, or newer, or the object cannot be read."""
        metadata = body["metadata"]
        uid, version = metadata["uid"], int(metadata["resourceVersion"])
        self.highest_version = max(self.highest_version, version)
        known = self._by_uid.get(uid)
        if known is not None and known.version >= version:
            return None
        if self._deleted_meanwhile is not None and uid in self._deleted_meanwhile:
            return None
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        try:
            value = self._convert(body)
        except ValidationError as error:  # stored under another schema: it must not stop the work on all others
            facts = {"object": f"{self.resource.kind} {namespace}/{name}", "fields": wrong_fields(error)}
            _log.error("object cannot be read", extra=facts)  # no traceback: the error quotes contents
            self._unreadable[uid] = (namespace, version)
            return None
        self._unreadable.pop(uid, None)
        namesake = self._by_name.get((namespace, name))
        if namesake is not None and namesake != uid and self._by_uid[namesake].version > version:
            return None  # a late word about an object whose successor is known already
        for old in {uid, namesake} - {None}:
            self._forget(str(old))
        entry = Entry(namespace, name, uid, version, self._index(value), value)
        self._keep(entry)
        return entry

    def revise(self, metadata: Object, change: Callable[[ValueT], ValueT]) -> Entry[ValueT] | None:
        """Take in a write of our own that was answered with metadata only; None when a newer object is known.

        For writes that named the known resourceVersion: nobody else's change can hide behind them.
        """
        version = int(metadata["resourceVersion"])
        self.highest_version = max(self.highest_version, version)
        known = self._by_uid.get(metadata["uid"])
        if known is None or known.version >= version:
            return None
        value = change(self._opened(known).value)
        self._forget(known.uid)
        entry: Entry[ValueT] = replace(known, version=version, index=self._index(value), value=value)
        self._keep(entry)
        return entry

    def remove(self, body: Object) -> Entry[ValueT] | None:
        """Take out a deleted object; None when it was not there."""
        metadata = body["metadata"]
        self.highest_version = max(self.highest_version, int(metadata["resourceVersion"]))
        if self._deleted_meanwhile is not None:
            self._deleted_meanwhile.add(metadata["uid"])
        self._unreadable.pop(metadata["uid"], None)
        gone = self._forget(metadata["uid"])
        return None if gone is None else self._opened(gone)

    def replacement(self, namespace: str | None) -> "Replacement[ValueT]":
        """Start to replace what is known of a namespace (None: of all) by a list that is about to be read."""
        return Replacement(self, namespace)

    def _keep(self, entry: Entry[ValueT]) -> None:
        shelf = self._shelf
        packed = shelf.pack(entry.value) if shelf is not None and shelf.takes(entry.value) else None
        self._by_uid[entry.uid] = entry if packed is None else replace(cast("Entry[Any]", entry), value=_Packed(packed))
        self._by_name[entry.namespace, entry.name] = entry.uid
        if entry.index is not None:
            self._by_index.setdefault(entry.index, set()).add(entry.uid)

    def _opened(self, entry: Entry[Any]) -> Entry[ValueT]:
        if self._shelf is None or not isinstance(entry.value, _Packed):
            return entry
        return replace(entry, value=self._shelf.unpack(entry.value.data))

    def _forget(self, uid: str) -> Entry[Any] | None:
        entry = self._by_uid.pop(uid, None)
        if entry is None:
            return None
        self._by_name.pop((entry.namespace, entry.name), None)
        if entry.index is not None:
            members = self._by_index[entry.index]
            members.discard(uid)
            if not members:
                del self._by_index[entry.index]
        return entry


@dataclass(frozen=True, slots=True)
class _Packed:
    data: bytes


class Replacement(Generic[ValueT]):
    """A list on its way into a collection, page by page, while watch events go on changing it.

    An object is removed only if the list does not have it and it was known before the list's version; an object that
    was deleted while the pages came in does not return with a later page.
    """

    def __init__(self, collection: Collection[ValueT], namespace: str | None) -> None:
        self._collection = collection
        self._namespace = namespace
        self._listed: set[str] = set()

    def __enter__(self) -> "Replacement[ValueT]":
        self._collection._deleted_meanwhile = set()
        return self

    def __exit__(self, *_: object) -> None:
        self._collection._deleted_meanwhile = None

    def add(self, body: Object) -> Entry[ValueT] | None:
        """Take in a listed object; None when it brought nothing new."""
        self._listed.add(body["metadata"]["uid"])
        return self._collection.put(body)

    def finish(self, version: int) -> tuple[Entry[ValueT], ...]:
        """Remove what the list did not have; returns it."""
        collection = self._collection
        collection.highest_version = max(collection.highest_version, version)
        missing = [
            entry
            for entry in collection._by_uid.values()
            if entry.uid not in self._listed and entry.version <= version and self._namespace in (None, entry.namespace)
        ]
        for entry in missing:
            collection._forget(entry.uid)
        collection._unreadable = {
            uid: (namespace, seen)
            for uid, (namespace, seen) in collection._unreadable.items()
            if uid in self._listed or seen > version or self._namespace not in (None, namespace)
        }
        return tuple(map(collection._opened, missing))

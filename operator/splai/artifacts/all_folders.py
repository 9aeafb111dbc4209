"""The folders of all jobs in a store, for whoever removes those whose job is gone."""

from collections.abc import AsyncIterator

import obstore
from obstore.store import ObjectStore

from splai.artifacts.folder import FolderName
from splai.artifacts.paths import folder_problem
from splai.artifacts.store_folder import translated_errors


async def all_folders(store: ObjectStore, after: FolderName | None = None) -> AsyncIterator[FolderName]:
    """The folders behind ``after`` in the order of their names; one list of the store for each namespace."""
    for namespace in await _below(store, ""):
        if after and namespace < after.namespace:
            continue
        for uid in await _below(store, namespace):
            name = FolderName(namespace, uid)
            if (after is None or name > after) and not folder_problem(namespace, uid):
                yield name


async def _below(store: ObjectStore, folder: str) -> list[str]:
    with translated_errors():
        found = await obstore.list_with_delimiter_async(store, folder or None)
    return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

"""The folders of all jobs in a store, for whoever removes those whose job is gone."""

from collections.abc import AsyncIterator
from typing import Final

import obstore
from obstore.store import ObjectStore

from splai.artifacts.folder import FolderName
from splai.artifacts.paths import folder_problem
from splai.artifacts.store_folder import translated_errors

FIRST: Final = FolderName("", "")


async def all_folders(
    store: ObjectStore, *, after: FolderName = FIRST, namespace: str = ""
) -> AsyncIterator[FolderName]:
    """The folders behind ``after``, of all namespaces or of one, by name; one list of the store for each namespace."""
    for found in await _below(store, ""):
        if found < after.namespace or namespace not in ("", found):
            continue
        for uid in await _below(store, found):
            name = FolderName(found, uid)
            if name > after and not folder_problem(found, uid):
                yield name


async def _below(store: ObjectStore, folder: str) -> list[str]:
    with translated_errors():
        found = await obstore.list_with_delimiter_async(store, folder or None)
    return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

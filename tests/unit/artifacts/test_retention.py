"""What a sweep of abandoned folders needs: which there are, how long they have been idle, and their end."""

import os
import time

import pytest
from obstore.store import LocalStore, MemoryStore

from splai.artifacts.all_folders import all_folders
from splai.artifacts.folder import FolderName, StoreRefused
from splai.artifacts.store_folder import StoreFolder
from tests.unit.artifacts.conftest import GATEWAY, Server, job_token, service_token

FOLDERS = [FolderName("team-a", "uid-1"), FolderName("team-a", "uid-2"), FolderName("team-b", "uid-0")]


async def fill(store: LocalStore | MemoryStore) -> None:
    for name in FOLDERS:
        await StoreFolder(store, name.namespace, name.uid).create("tasks/0000/commit", b"{}")


async def test_the_operator_sees_every_folder_but_the_servers_own(server: Server) -> None:
    await fill(LocalStore(server.root))
    async with server.client(service_token()) as client:
        assert [name async for name in client.folders()] == FOLDERS


async def test_the_folders_of_one_namespace(server: Server) -> None:
    await fill(LocalStore(server.root))
    async with server.client(service_token()) as client:
        assert [name async for name in client.folders("team-b")] == FOLDERS[2:]
        assert [name async for name in client.folders("team")] == []


async def test_folders_come_in_pages(server: Server) -> None:
    await fill(LocalStore(server.root))
    async with server.http(service_token()) as http:
        first = (await http.get("/", params={"limit": "2"})).json()
        second = (await http.get("/", params={"limit": "2", "after": first["next"]})).json()
    assert [entry["uid"] for entry in first["folders"]] == ["uid-1", "uid-2"]
    assert second == {"folders": [{"namespace": "team-b", "uid": "uid-0"}]}


@pytest.mark.parametrize("token", [job_token(), service_token(GATEWAY)])
async def test_nobody_else_may_list_folders(server: Server, token: str) -> None:
    async with server.client(token) as client:
        with pytest.raises(StoreRefused) as refused:
            [name async for name in client.folders()]
    assert refused.value.status == 403


async def test_a_folder_is_as_idle_as_its_newest_object(server: Server) -> None:
    now = time.time()
    async with server.client(service_token()) as client:
        folder = client.job("team-a", "uid-1")
        for path, age in (("plan.json", 9000), ("tasks/0000/commit", 5000)):
            await folder.create(path, b"{}")
            os.utime(server.root / "team-a/uid-1" / path, (now - age, now - age))
        idle = await folder.idle_seconds()
    assert idle is not None
    assert 5000 <= idle < 9000


async def test_a_folder_without_objects_has_no_age(server: Server) -> None:
    async with server.client(service_token()) as client:
        assert await client.job("team-a", "uid-9").idle_seconds() is None


async def test_a_removed_folder_is_not_listed_any_more(server: Server) -> None:
    await fill(LocalStore(server.root))
    async with server.client(service_token()) as client:
        await client.job("team-a", "uid-1").remove()
        assert [name async for name in client.folders()] == FOLDERS[1:]


async def test_a_store_that_has_no_directories_lists_and_removes_the_same() -> None:
    store = MemoryStore()
    await fill(store)
    await StoreFolder(store, "_server", "state").put("keys.json", b"")
    assert [name async for name in all_folders(store)] == FOLDERS
    await StoreFolder(store, "team-a", "uid-2").remove()
    assert [name async for name in all_folders(store)] == [FOLDERS[0], FOLDERS[2]]

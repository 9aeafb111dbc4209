"""The client against a real apiserver: every call, and the error class of every refusal."""

import asyncio
from typing import Any

import pytest

from splai.kube.client import Client
from splai.kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from splai.kube.resource import CONFIG_MAPS, INFERENCE_JOBS, SERVICES


def config_map(name: str, *, text: str = "", labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels or {}},
        "data": {"text": text},
    }


async def test_a_created_object_is_read_back(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, namespace, config_map("a", text="hello"))

    read = await client.get(CONFIG_MAPS, namespace, "a")

    assert read["data"] == {"text": "hello"}
    assert read["metadata"]["uid"] == created["metadata"]["uid"]


async def test_creating_twice_is_already_exists(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, namespace, config_map("a"))

    with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
        await client.create(CONFIG_MAPS, namespace, config_map("a"))


async def test_a_missing_object_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await client.get(CONFIG_MAPS, namespace, "a")


async def test_what_the_schema_refuses_is_invalid(client: Client, namespace: str) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 0}]}}

    with pytest.raises(Invalid, match=r"spec\.ports\[0\]\.port"):
        await client.create(SERVICES, namespace, service)


async def test_a_list_is_read_in_pages_of_one_version(client: Client, namespace: str) -> None:
    for number in range(5):
        await client.create(CONFIG_MAPS, namespace, config_map(f"m{number}", labels={"list": "yes"}))

    pages = [page async for page in client.pages(CONFIG_MAPS, namespace, selector="list=yes", limit=2)]

    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert len({page.resource_version for page in pages}) == 1
    assert len((await client.list(CONFIG_MAPS, namespace, selector="list=yes")).items) == 5


async def test_apply_conflicts_over_a_foreign_field_unless_forced(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, namespace, config_map("a", text="theirs"))
    ours = config_map("a", text="ours")

    with pytest.raises(Conflict, match="conflict"):
        await client.apply(CONFIG_MAPS, namespace, ours)
    applied = await client.apply(CONFIG_MAPS, namespace, ours, force=True)

    assert applied["data"] == {"text": "ours"}


async def test_a_merge_patch_changes_only_what_it_names(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, namespace, config_map("a", text="kept"))

    patched = await client.patch(CONFIG_MAPS, namespace, "a", {"data": {"more": "added"}})

    assert patched["data"] == {"text": "kept", "more": "added"}


async def test_replace_is_a_compare_and_swap(client: Client, namespace: str) -> None:
    old = await client.create(CONFIG_MAPS, namespace, config_map("a", text="1"))
    await client.replace(CONFIG_MAPS, namespace, "a", {**old, "data": {"text": "2"}})

    with pytest.raises(Conflict, match="modified"):
        await client.replace(CONFIG_MAPS, namespace, "a", {**old, "data": {"text": "3"}})


async def test_a_status_patch_is_answered_with_metadata_and_refused_on_another_version(
    client: Client, namespace: str
) -> None:
    job = {
        "apiVersion": INFERENCE_JOBS.api_version,
        "kind": INFERENCE_JOBS.kind,
        "metadata": {"name": "a"},
        "spec": {"model": "m", "input": {"text": "hello"}},
    }
    created = await client.create(INFERENCE_JOBS, namespace, job)
    seen = {"resourceVersion": created["metadata"]["resourceVersion"]}

    metadata = await client.patch_status(
        INFERENCE_JOBS, namespace, "a", {"metadata": seen, "status": {"phase": "Running"}}
    )

    stored = await client.get(INFERENCE_JOBS, namespace, "a")
    assert stored["status"]["phase"] == "Running"
    assert stored["metadata"] == metadata
    with pytest.raises(Conflict, match="modified"):
        await client.patch_status(INFERENCE_JOBS, namespace, "a", {"metadata": seen, "status": {"phase": "Failed"}})


async def test_delete_spares_another_object_of_the_same_name(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, namespace, config_map("a"))

    with pytest.raises(Conflict, match="does not match the UID"):
        await client.delete(CONFIG_MAPS, namespace, "a", uid="00000000-0000-0000-0000-000000000000")
    await client.delete(CONFIG_MAPS, namespace, "a", uid=created["metadata"]["uid"])

    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, namespace, "a")


async def test_a_watch_tells_each_change_after_the_list(client: Client, namespace: str) -> None:
    version = (await client.list(CONFIG_MAPS, namespace, selector="watch=yes")).resource_version
    seen: list[tuple[str, str]] = []

    async def watch() -> None:
        async for event in client.watch(
            CONFIG_MAPS, namespace, resource_version=version, selector="watch=yes", timeout_seconds=30
        ):
            if event.type != "BOOKMARK":
                seen.append((event.type, event.object["metadata"]["name"]))
            if event.type == "DELETED":
                return

    watching = asyncio.create_task(watch())
    await client.create(CONFIG_MAPS, namespace, config_map("a", text="x" * 500_000, labels={"watch": "yes"}))
    await client.create(CONFIG_MAPS, namespace, config_map("other"))
    await client.patch(CONFIG_MAPS, namespace, "a", {"data": {"more": "1"}})
    await client.delete(CONFIG_MAPS, namespace, "a")
    await asyncio.wait_for(watching, 20)

    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_ends_when_its_time_is_over(client: Client, namespace: str) -> None:
    version = (await client.list(CONFIG_MAPS, namespace)).resource_version
    # A new namespace gets a ConfigMap of the cluster's own about now.
    watching = client.watch(CONFIG_MAPS, namespace, resource_version=version, selector="watch=yes", timeout_seconds=1)

    events = [event async for event in watching]

    assert all(event.type == "BOOKMARK" for event in events)

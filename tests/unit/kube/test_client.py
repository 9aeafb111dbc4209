"""The client's own part of a conversation: what it sends, and what a broken or silent stream becomes.

That the apiserver understands it is shown on a real one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from splai.kube.client import Client
from splai.kube.errors import Gone, Throttled, Unavailable
from splai.kube.lease import LeaseLost
from splai.kube.resource import CONFIG_MAPS, Resource

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StartClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start_client() -> AsyncIterator[StartClient]:
    """A client of a server that answers everything with one handler."""
    runners: list[web.AppRunner] = []
    clients: list[Client] = []

    async def start(handler: Handler, connections: int = 10, **options: Any) -> Client:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        configuration = Configuration(host=f"http://{host}:{port}")
        configuration.connection_pool_maxsize = connections
        client = Client(configuration, component="test", **options)
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
    for runner in runners:
        await runner.cleanup()


async def empty(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})


async def watch_all(client: Client) -> list[str]:
    return [event.type async for event in client.watch(CONFIG_MAPS, "n", resource_version="5")]


def stream_of(*lines: Any) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(json.dumps(line).encode() + b"\n")
        return response

    return handler


async def test_it_names_itself_and_asks_for_json(start_client: StartClient) -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await empty(request)

    client = await start_client(handler)
    await client.list(CONFIG_MAPS, "n", selector="a=b")

    (request,) = seen
    assert request.headers["User-Agent"].startswith("splai-test/")
    assert request.headers["Accept"] == "application/json"
    assert request.path_qs == "/api/v1/namespaces/n/configmaps?limit=500&labelSelector=a%3Db"


async def test_every_request_is_observed_also_one_without_an_answer(start_client: StartClient) -> None:
    observed: list[tuple[str, str, int]] = []

    def observe(verb: str, resource: Resource, code: int) -> None:
        observed.append((verb, resource.name, code))

    client = await start_client(empty, observe=observe)
    nowhere = Client(Configuration(host="http://127.0.0.1:9"), component="test", observe=observe)
    await client.list(CONFIG_MAPS, "n")
    with pytest.raises(Unavailable, match="no answer from the apiserver about configmaps"):
        await nowhere.get(CONFIG_MAPS, "n", "a")
    await nowhere.close()

    assert observed == [("list", "configmaps", 200), ("get", "configmaps", 0)]


async def test_the_fence_stands_before_writes_and_not_before_reads(start_client: StartClient) -> None:
    def fence() -> None:
        raise LeaseLost("somebody else leads")

    client = await start_client(empty, fence=fence)

    await client.list(CONFIG_MAPS, "n")
    with pytest.raises(LeaseLost):
        await client.create(CONFIG_MAPS, "n", {"metadata": {"name": "a"}})


async def test_throttling_tells_how_long_to_wait(start_client: StartClient) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"reason": "TooManyRequests"}, status=429, headers={"Retry-After": "3"})

    client = await start_client(handler)

    with pytest.raises(Throttled) as caught:
        await client.get(CONFIG_MAPS, "n", "a")
    assert caught.value.retry_after == 3


async def test_a_list_that_expires_between_pages_is_read_again_at_once(start_client: StartClient) -> None:
    limits: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        limits.append(request.query.get("limit"))
        if "continue" in request.query:
            return web.json_response({"code": 410, "reason": "Expired"}, status=410)
        more = {"continue": "next"} if request.query.get("limit") == "500" else {}
        return web.json_response({"items": [{}], "metadata": {"resourceVersion": "7", **more}})

    client = await start_client(handler)

    assert len((await client.list(CONFIG_MAPS, "n")).items) == 1
    assert limits == ["500", "500", "0"]


async def test_a_watch_passes_events_of_any_size(start_client: StartClient) -> None:
    huge = {"metadata": {"annotations": {"a": "x" * 5_000_000}}}
    client = await start_client(stream_of({"type": "ADDED", "object": huge}, {"type": "BOOKMARK", "object": {}}))

    assert await watch_all(client) == ["ADDED", "BOOKMARK"]


async def test_a_watch_that_is_too_old_is_gone(start_client: StartClient) -> None:
    error = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 5 (77)"}
    client = await start_client(stream_of({"type": "ERROR", "object": error}))

    with pytest.raises(Gone, match="too old resource version"):
        await watch_all(client)


async def test_a_watch_that_falls_silent_is_unavailable(
    start_client: StartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await silent.wait()
        return response

    monkeypatch.setattr("splai.kube.client.WATCH_SILENCE", 0.05)
    client = await start_client(handler)

    with pytest.raises(Unavailable):
        await watch_all(client)
    silent.set()


async def test_calls_do_not_wait_for_watches(start_client: StartClient) -> None:
    ended, watching = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return await empty(request)
        response = web.StreamResponse()
        await response.prepare(request)
        watching.release()
        await ended.wait()
        return response

    client = await start_client(handler, connections=1)
    watches = [asyncio.create_task(watch_all(client)) for _ in range(3)]
    for _ in watches:
        await watching.acquire()

    await client.list(CONFIG_MAPS, "n")

    ended.set()
    assert await asyncio.gather(*watches) == [[], [], []]

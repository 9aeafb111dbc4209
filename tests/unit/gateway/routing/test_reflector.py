"""What a reflector does when the apiserver says other things than usual; the usual ones are tested on a real one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from splai.gateway.routing.reflector import Reflector
from splai.kube.client import Page, WatchEvent
from splai.kube.errors import Forbidden, Gone, Unavailable
from splai.kube.resource import MODEL_BACKENDS, Resource


def thing(name: str, value: object = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "a", "name": name}, "value": value}


class ScriptedApiserver:
    """Answers LISTs and WATCHes in turn; when there is no more, it keeps silent."""

    def __init__(self, *turns: Sequence[Any] | Exception) -> None:
        self.turns = list(turns)
        self.exhausted = asyncio.Event()

    async def list(self, resource: Resource, namespace: str | None = None, *, selector: str = "") -> Page:
        return Page([*await self._next()], "1")

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str, selector: str = ""
    ) -> AsyncGenerator[WatchEvent]:
        for event in await self._next():
            yield event

    async def _next(self) -> Sequence[Any]:
        if not self.turns:
            self.exhausted.set()
            await asyncio.Event().wait()
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn


class Watching:
    """A running reflector."""

    def __init__(self, apiserver: ScriptedApiserver) -> None:
        self.apiserver = apiserver
        self.changes = 0
        self.failures = 0
        self.reflector = Reflector(
            apiserver,  # type: ignore[arg-type]
            MODEL_BACKENDS,
            self.parse,
            changed=self.changed,
            failed=self.failed,
            jitter=lambda: -1.0,  # no pause at all
        )

    def parse(self, body: Mapping[str, Any]) -> tuple[str, int]:
        return body["metadata"]["name"], int(body["value"])

    def changed(self) -> None:
        self.changes += 1

    def failed(self) -> None:
        self.failures += 1

    @property
    def objects(self) -> list[tuple[str, int]]:
        return sorted(self.reflector.objects)


@pytest.fixture
async def tasks() -> AsyncIterator[set[asyncio.Task[None]]]:
    tasks: set[asyncio.Task[None]] = set()
    yield tasks
    for task in tasks:
        task.cancel()


async def after(tasks: set[asyncio.Task[None]], *turns: Sequence[Any] | Exception) -> Watching:
    """A reflector that has gone through these turns."""
    watching = Watching(ScriptedApiserver(*turns))
    tasks.add(asyncio.create_task(watching.reflector.run()))
    async with asyncio.timeout(60):
        await watching.apiserver.exhausted.wait()
    return watching


async def test_events_change_what_was_listed(tasks: set[asyncio.Task[None]]) -> None:
    events = [
        WatchEvent("ADDED", thing("c")),
        WatchEvent("MODIFIED", thing("a", 2)),
        WatchEvent("DELETED", thing("b")),
        WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
    ]

    watching = await after(tasks, [thing("a"), thing("b")], events)

    assert watching.objects == [("a", 2), ("c", 1)]
    assert watching.changes == 4


async def test_an_event_that_changes_nothing_for_us_is_no_news(tasks: set[asyncio.Task[None]]) -> None:
    watching = await after(tasks, [thing("a")], [WatchEvent("MODIFIED", thing("a") | {"status": "news for others"})])

    assert watching.changes == 1


async def test_a_list_after_a_watch_forgets_what_was_deleted_in_the_gap(tasks: set[asyncio.Task[None]]) -> None:
    watching = await after(tasks, [thing("a"), thing("b")], [], [thing("b")])

    assert watching.objects == [("b", 1)]


async def test_a_version_that_is_too_old_is_no_failure(tasks: set[asyncio.Task[None]]) -> None:
    watching = await after(tasks, [thing("a")], Gone("too old"), [thing("b")])

    assert watching.objects == [("b", 1)]
    assert watching.failures == 0


@pytest.mark.parametrize(
    "outage", [Unavailable("no answer"), Forbidden("no"), ValueError("not JSON"), KeyError("type")]
)
async def test_what_was_known_survives_an_outage(tasks: set[asyncio.Task[None]], outage: Exception) -> None:
    watching = await after(tasks, [thing("a")], outage, outage, outage)

    assert watching.objects == [("a", 1)]
    assert watching.reflector.listed
    assert watching.failures == 3


async def test_nothing_is_listed_before_the_first_answer(tasks: set[asyncio.Task[None]]) -> None:
    watching = await after(tasks, Unavailable("no answer"))

    assert not watching.reflector.listed
    assert watching.changes == 0


async def test_an_object_that_cannot_be_read_costs_only_itself(tasks: set[asyncio.Task[None]]) -> None:
    unreadable = WatchEvent("MODIFIED", thing("b", "not a number"))

    watching = await after(tasks, [thing("a"), thing("b"), {"metadata": {"namespace": "a", "name": "c"}}], [unreadable])

    assert watching.objects == [("a", 1)]
    assert watching.failures == 0

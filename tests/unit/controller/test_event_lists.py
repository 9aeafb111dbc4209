"""Events cost the apiserver much, so one list serves all objects of a namespace for a while."""

import asyncio
from typing import Any

from splai.controller.event_lists import FRESH_SECONDS, MOST_OF_THE_TIME, EventLists
from splai.kube.client import Object, Page
from splai.kube.errors import Forbidden
from splai.kube.resource import CORE_EVENTS
from tests.unit.kube.memory_client import MemoryClient

FIELDS = "involvedObject.kind=Pod"


def warning(uid: str, message: str, *, at: str = "2026-05-01T12:00:00Z") -> Object:
    return {
        "metadata": {"namespace": "n", "name": message, "uid": message},
        "involvedObject": {"kind": "Pod", "uid": uid},
        "reason": "Unhealthy",
        "message": message,
        "lastTimestamp": at,
    }


async def test_events_are_found_by_the_object_and_in_their_order() -> None:
    client = MemoryClient()
    for event in (
        warning("a", "second", at="2026-05-01T12:00:02Z"),
        warning("a", "first"),
        warning("b", "of another"),
    ):
        client.store(CORE_EVENTS, event)

    found = await EventLists(client, FIELDS).of("n")

    assert {uid: [event.message for event in events] for uid, events in found.items()} == {
        "a": ["first", "second"],
        "b": ["of another"],
    }
    assert client.selectors == [("", FIELDS)]


async def test_many_who_ask_at_once_cause_one_list() -> None:
    client = MemoryClient()
    lists = EventLists(client, FIELDS)

    await asyncio.gather(*(lists.of("n") for _ in range(50)))

    assert len(client.selectors) == 1


async def test_a_list_is_good_for_a_quarter_of_a_minute() -> None:
    now = 0.0
    client = MemoryClient()
    lists = EventLists(client, FIELDS, clock=lambda: now)
    await lists.of("n")

    now = FRESH_SECONDS
    await lists.of("n")
    assert len(client.selectors) == 1
    now += 1
    await lists.of("n")
    assert len(client.selectors) == 2


async def test_who_may_not_read_events_does_without() -> None:
    client = MemoryClient()
    client.fail = [Forbidden("events is forbidden")]

    assert await EventLists(client, FIELDS).of("n") == {}


async def test_a_list_that_takes_long_is_good_for_longer() -> None:
    now = 0.0

    class SlowClient(MemoryClient):
        async def list(self, *arguments: Any, **options: Any) -> Page:
            nonlocal now
            now += 2
            return await super().list(*arguments, **options)

    client = SlowClient()
    lists = EventLists(client, FIELDS, clock=lambda: now)
    await lists.of("n")

    now = 2 + 2 / MOST_OF_THE_TIME
    await lists.of("n")
    assert len(client.selectors) == 1
    now += 1
    await lists.of("n")
    assert len(client.selectors) == 2

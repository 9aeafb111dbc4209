"""Events cost the apiserver much, so few questions must do for many jobs."""

import asyncio
from typing import Any

from splai.controller.creation_troubles import CreationTroubles
from splai.controller.event_lists import FRESH_SECONDS
from splai.core.observed import ObservedJob
from splai.kube.client import Object, Page
from splai.kube.resource import CORE_EVENTS
from tests.unit.controller.objects import child_job
from tests.unit.kube.memory_client import MemoryClient


def child(uid: str, namespace: str = "n") -> ObservedJob:
    body = child_job()
    body["metadata"] |= {"uid": uid, "namespace": namespace}
    return ObservedJob.from_object(body)


def complaint(uid: str, message: str) -> Object:
    return {
        "metadata": {"namespace": "n", "name": f"{uid}-{message}", "uid": message},
        "involvedObject": {"kind": "Job", "uid": uid},
        "message": message,
    }


class SlowClient(MemoryClient):
    """Others come while an answer is on its way."""

    async def list(self, *arguments: Any, **options: Any) -> Page:
        page = await super().list(*arguments, **options)
        await asyncio.sleep(0)
        return page


async def test_one_list_serves_all_jobs_of_a_namespace() -> None:
    client = SlowClient()
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))
    client.store(CORE_EVENTS, complaint("b", "no ServiceAccount"))
    troubles = CreationTroubles(client)

    said = await asyncio.gather(*(troubles.of(child(uid)) for uid in "abc"))

    assert said == ["exceeded quota", "no ServiceAccount", ""]
    assert len(client.selectors) == 1


async def test_a_namespace_knows_nothing_of_another() -> None:
    client = MemoryClient()
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))
    troubles = CreationTroubles(client)

    assert await troubles.of(child("a")) == "exceeded quota"
    assert await troubles.of(child("a", namespace="other")) == ""


async def test_an_event_about_nobody_in_particular_hides_no_other() -> None:
    client = MemoryClient()
    anonymous = complaint("a", "of a job that is only named")
    del anonymous["involvedObject"]["uid"]
    client.store(CORE_EVENTS, anonymous)
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))

    assert await CreationTroubles(client).of(child("a")) == "exceeded quota"


async def test_what_was_heard_a_while_ago_is_asked_anew() -> None:
    now = 0.0
    client = MemoryClient()
    troubles = CreationTroubles(client, clock=lambda: now)
    assert await troubles.of(child("a")) == ""
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))

    now = FRESH_SECONDS
    assert await troubles.of(child("a")) == ""
    now += 1
    assert await troubles.of(child("a")) == "exceeded quota"

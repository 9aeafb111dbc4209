"""A snapshot holds what its decision needs, and nobody is asked in vain."""

import gzip
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zstandard

from splai.api.ledger import Progress
from splai.api.policy import Policy
from splai.artifacts.folder import StoreUnavailable
from splai.controller.caches import Caches
from splai.controller.creation_troubles import CreationTroubles
from splai.controller.observe import MOST_UNPACKED, POD_WARNINGS, Observer
from splai.core.inferencejob.snapshot import (
    ConfigMapMissing,
    ConfigMapText,
    ConfigMapUnreadable,
    JobSnapshot,
    Unavailable,
    WorkloadMissing,
)
from splai.core.modelbackend.snapshot import BackendSnapshot, LeaderWorkerSetsMissing
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages
from splai.kube.client import Object
from splai.kube.errors import Forbidden, NotFound
from splai.kube.resource import (
    CONFIG_MAPS,
    CORE_EVENTS,
    INFERENCE_JOBS,
    JOBS,
    LEADER_WORKER_SETS,
    MODEL_BACKENDS,
    PODS,
    WORKLOADS,
)
from tests.unit.controller.objects import child_job, inference_job, model_backend, pod
from tests.unit.kube.memory_client import MemoryClient

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SETTINGS = OperatorSettings(image="splai", engine_images=EngineImages(llamacpp="llamacpp", vllm="vllm"))
LONG_AGO = timedelta(minutes=5)


class NoFolder:
    """Of a store that does not answer; ``asked`` counts those who waited for it."""

    def __init__(self) -> None:
        self.asked = 0

    async def progress(self) -> Progress:
        self.asked += 1
        raise StoreUnavailable("away")


class World:
    """One job in the caches, and an apiserver for what is not cached."""

    def __init__(self) -> None:
        self.client = MemoryClient()
        self.caches = Caches(lambda *_: None)
        self.store_is_away = False
        self.no_folder = NoFolder()
        self.policies: dict[str, Policy] = {}
        self.observer = Observer(
            self.client,
            self.caches,
            settings=SETTINGS,
            policies=lambda: self.policies,
            folder=self.folder,
            now=lambda: NOW,
            troubles=CreationTroubles(self.client, self.caches, enqueue=lambda _: None, now=lambda: NOW),
        )

    def folder(self, _namespace: str, _uid: str) -> Any:
        if not self.store_is_away:
            pytest.fail("the store is not asked here")
        return self.no_folder

    def add_job(self, name: str = "j", **spec: Any) -> None:
        body = inference_job(name, status={"specHash": "planned"} if name == "j" and not spec else None)
        body["spec"] |= spec
        self.caches.changed(INFERENCE_JOBS, body)

    def add_child(self, *, age: timedelta = LONG_AGO, suspended: bool = False) -> None:
        body = child_job()
        created = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
        labels = {"splai.dev/child": "0", "splai.dev/inferencejob": "j"}
        body["metadata"] |= {"creationTimestamp": created, "labels": labels}
        body["spec"] = {"suspend": suspended}
        self.caches.changed(JOBS, body)

    async def snapshot(self, name: str = "j") -> JobSnapshot:
        entry = self.caches.jobs.get("n", name)
        assert entry is not None
        return await self.observer.job(entry)


@pytest.fixture
def world() -> World:
    return World()


async def test_policies_are_those_of_the_moment(world: World) -> None:
    world.add_job()
    world.policies = {"p": Policy(model="m")}

    assert (await world.snapshot()).settings.policies == {"p": Policy(model="m")}


async def test_an_earlier_job_is_found_in_the_same_namespace(world: World) -> None:
    world.add_job(input={"failedOf": {"name": "earlier"}})
    world.store_is_away = True
    assert (await world.snapshot()).earlier_job is None

    world.caches.changed(INFERENCE_JOBS, inference_job("earlier"))

    snapshot = await world.snapshot()
    assert snapshot.earlier_job is not None
    assert snapshot.earlier_job.metadata["name"] == "earlier"
    assert snapshot.progress == Unavailable("away")


async def test_of_many_jobs_one_waits_for_a_store_that_is_away(world: World) -> None:
    """Each of them would hold a worker until the deadline, and others' jobs could not even be canceled."""
    world.store_is_away = True
    names = [f"job-{number}" for number in range(20)]
    for name in names:
        world.add_job(name, input={"failedOf": {"name": "earlier"}})

    snapshots = [await world.snapshot(name) for name in names]

    assert [snapshot.progress for snapshot in snapshots] == [Unavailable("away")] * 20
    assert world.no_folder.asked == 1


def config_map(**fields: Any) -> Object:
    return {"metadata": {"namespace": "n", "name": "c"}, **fields}


def base64(content: bytes) -> str:
    return b64encode(content).decode()


BOMB = gzip.compress(bytes(MOST_UNPACKED + 1))


@pytest.mark.parametrize(
    ("body", "want"),
    [
        (config_map(data={"lines": "a"}), ConfigMapText("a")),
        (config_map(binaryData={"lines": base64(b"a\xff")}), ConfigMapText(b"a\xff")),
        (config_map(binaryData={"lines": base64(gzip.compress(b"a"))}), ConfigMapText(b"a")),
        (config_map(binaryData={"lines": base64(zstandard.compress(b"a"))}), ConfigMapText(b"a")),
        (config_map(data=None, binaryData={"other": ""}), ConfigMapMissing("ConfigMap c has no key lines")),
        (
            config_map(binaryData={"lines": base64(BOMB)}),
            ConfigMapUnreadable("unpacks to more than 8 MiB; use persistentVolumeClaim, s3 or http"),
        ),
        (
            config_map(binaryData={"lines": base64(gzip.compress(b"abc")[:-4])}),
            ConfigMapUnreadable("the gzip data end too early"),
        ),
    ],
    ids=["text", "bytes", "gzip", "zstd", "missing", "bomb", "damaged"],
)
async def test_a_config_map_holds_text_or_bytes_that_are_unpacked_in_bounded_memory(
    world: World, body: Object, want: object
) -> None:
    world.add_job(input={"configMap": {"name": "c", "key": "lines"}})
    world.client.store(CONFIG_MAPS, body)

    assert (await world.snapshot()).config_map == want


def leader_worker_set(**status: Any) -> Object:
    owner = {"uid": "uid-b", "controller": True}
    return {
        "metadata": {"namespace": "n", "name": "b-nodes", "uid": "uid-b-nodes", "ownerReferences": [owner]},
        "spec": {},
        **status,
    }


async def backend_snapshot(world: World, **spec: Any) -> BackendSnapshot:
    world.caches.changed(MODEL_BACKENDS, model_backend(**spec))
    entry = world.caches.backends.get("n", "b")
    assert entry is not None
    return await world.observer.backend(entry)


async def test_a_backend_of_one_node_costs_no_request(world: World) -> None:
    snapshot = await backend_snapshot(world)

    assert snapshot.leader_worker_set is None
    assert world.client.selectors == []


async def test_the_set_of_a_backend_of_several_nodes_is_looked_up_by_its_name(world: World) -> None:
    world.client.store(LEADER_WORKER_SETS, leader_worker_set())

    found = (await backend_snapshot(world, resources={"nodes": 2})).own_leader_worker_set

    assert found is not None
    assert found.uid == "uid-b-nodes"
    assert world.client.selectors == [("", "metadata.name=b-nodes")]


async def test_a_set_that_is_not_there_is_told_from_a_kind_that_is_not(world: World) -> None:
    assert (await backend_snapshot(world, resources={"nodes": 2})).leader_worker_set is None

    world.client.fail = [NotFound("404 page not found")]
    snapshot = await backend_snapshot(world, resources={"nodes": 2})
    assert snapshot.leader_worker_set == LeaderWorkerSetsMissing()


async def test_a_young_child_is_no_reason_to_ask_anybody(world: World) -> None:
    world.add_job()
    world.add_child(age=timedelta(seconds=1))

    snapshot = await world.snapshot()

    assert (snapshot.workload, snapshot.creation_trouble) == (None, "")
    assert world.client.selectors == []


async def test_the_workload_of_a_child_that_a_queue_holds_is_looked_up(world: World) -> None:
    world.add_job()
    world.add_child(suspended=True)
    condition = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "no GPUs"}
    world.client.store(
        WORKLOADS, {"metadata": {"namespace": "n", "name": "w", "uid": "w"}, "status": {"conditions": [condition]}}
    )

    workload = (await world.snapshot()).workload

    assert workload is not None
    assert not isinstance(workload, WorkloadMissing)
    assert workload.conditions["QuotaReserved"].message == "no GPUs"
    assert world.client.selectors == [("kueue.x-k8s.io/job-uid=uid-j-0", "")]


@pytest.mark.parametrize("failure", [None, NotFound("the server could not find the requested resource")])
async def test_without_kueue_or_without_a_workload_it_is_missing(world: World, failure: NotFound | None) -> None:
    world.add_job()
    world.add_child(suspended=True)
    world.client.fail = [failure] if failure else []

    assert (await world.snapshot()).workload == WorkloadMissing()


async def test_what_may_not_be_read_is_not_known(world: World) -> None:
    world.add_job()
    world.add_child(suspended=True)
    world.client.fail = [Forbidden("no right")]
    assert (await world.snapshot()).workload is None

    world.caches.deleted(JOBS, child_job(version=2))
    world.add_child()
    world.client.fail = [Forbidden("no right")]
    assert (await world.snapshot()).creation_trouble == ""


def event(name: str, message: str, **times: str) -> Object:
    about = {"kind": "Job", "uid": "uid-j-0"}
    return {
        "metadata": {"namespace": "n", "name": name, "uid": name},
        "involvedObject": about,
        "message": message,
        **times,
    }


async def test_the_newest_event_tells_why_a_child_has_no_pods(world: World) -> None:
    world.add_job()
    world.add_child()
    world.client.store(CORE_EVENTS, event("new", "exceeded quota", eventTime="2026-01-01T12:00:00.000000Z"))
    world.client.store(CORE_EVENTS, event("old", "no ServiceAccount", lastTimestamp="2026-01-01T11:00:00Z"))

    assert (await world.snapshot()).creation_trouble == "exceeded quota"
    assert world.client.selectors == [("", "involvedObject.kind=Job,reason=FailedCreate")]


async def test_a_child_that_nobody_complains_about_has_no_trouble(world: World) -> None:
    world.add_job()
    world.add_child()

    assert (await world.snapshot()).creation_trouble == ""


SECRET_MISSING = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'


def engine_of(backend: str, *, age: timedelta, node: str = "node-1") -> Object:
    body = pod("engine", modelbackend=backend)
    body["metadata"]["creationTimestamp"] = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**body, "spec": {"nodeName": node}}


async def test_the_kubelets_events_about_a_pod_that_should_run_by_now_are_looked_up(world: World) -> None:
    world.caches.changed(MODEL_BACKENDS, model_backend())
    world.caches.changed(PODS, engine_of("b", age=timedelta(seconds=10)))
    event = {
        "metadata": {"namespace": "n", "name": "e", "uid": "e"},
        "involvedObject": {"kind": "Pod", "uid": "uid-engine"},
        "reason": "FailedMount",
        "message": SECRET_MISSING,
        "lastTimestamp": "2026-01-01T11:59:55Z",
    }
    world.client.store(CORE_EVENTS, event)

    found = (await backend_snapshot(world)).pod_events

    assert {uid: [it.message for it in events] for uid, events in found.items()} == {"uid-engine": [SECRET_MISSING]}
    assert world.client.selectors == [("", POD_WARNINGS)]


@pytest.mark.parametrize(
    "body",
    [engine_of("b", age=timedelta(seconds=9)), engine_of("b", age=LONG_AGO, node="")],
    ids=["it is young", "it has no node"],
)
async def test_a_pod_that_is_on_its_way_or_waits_for_a_node_is_no_reason_to_ask(world: World, body: Object) -> None:
    world.caches.changed(MODEL_BACKENDS, model_backend())
    world.caches.changed(PODS, body)

    assert (await backend_snapshot(world)).pod_events == {}
    assert world.client.selectors == []

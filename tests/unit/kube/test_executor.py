"""What an action of a plan does, and which failures are told instead of tried again.

Children on a real apiserver are tested there.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from splai.api.history import HistoryRecord
from splai.api.inference_job import InferenceJobStatus
from splai.api.ledger import ReadingOrder, WorkOrder
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreRefused, StoreUnavailable
from splai.core.plan import (
    ALREADY_PLANNED,
    Action,
    Apply,
    Archive,
    Create,
    Delete,
    ObjectReference,
    Scale,
    WriteReadingOrder,
    WriteWorkOrder,
)
from splai.history import HistoryUnavailable
from splai.kube.client import Object
from splai.kube.errors import Conflict, Unavailable
from splai.kube.executor import Executor
from splai.kube.resource import INFERENCE_JOBS, SERVICES, Resource
from tests.unit.kube.memory_client import MemoryClient

JOB = ObjectReference(api_version="splai.dev/v1alpha1", kind="InferenceJob", namespace="n", name="j", uid="u")
RECORD = HistoryRecord(
    namespace="n",
    name="j",
    uid="u",
    created_at="2026-01-01T00:00:00Z",
    archived_at="2026-01-02T00:00:00Z",
    type="chat",
    input="text",
    status=InferenceJobStatus(phase="Completed"),
)

CONTROLLED_BY_US = [{"uid": "u", "controller": True}]
CHILD = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "n", "name": "j-0", "ownerReferences": CONTROLLED_BY_US},
    "spec": {},
}
REFERENCE = ObjectReference(api_version="batch/v1", kind="Job", namespace="n", name="j-0")
WEBHOOK = 'Internal error occurred: failed calling webhook "mjob.kb.io": no endpoints available'


class History:
    """Keeps records; the next save raises what ``fail`` holds."""

    def __init__(self) -> None:
        self.records: list[HistoryRecord] = []
        self.fail: list[Exception] = []
        self.asked = 0

    async def save(self, record: HistoryRecord) -> None:
        self.asked += 1
        if self.fail:
            raise self.fail.pop(0)
        self.records.append(record)

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        raise NotImplementedError


class Folder:
    """A job's folder that remembers what was created, and raises ``failure`` if there is one."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.created: dict[str, bytes] = {}
        self.failure = failure
        self.asked = 0

    async def create(self, path: str, data: bytes) -> bool:
        self.asked += 1
        if self.failure:
            raise self.failure
        return self.created.setdefault(path, data) is data

    async def get(self, path: str) -> bytes | None:
        return self.created.get(path)


class Nobody:
    def absorb(self, resource: Resource, body: Object) -> None:
        """Nothing is remembered."""


class World:
    def __init__(self, folder: Any = None) -> None:
        self.client = MemoryClient()
        self.history = History()
        self.executor = Executor(self.client, known=Nobody(), folder=lambda *_: folder, history=self.history)

    def add_job(self, **metadata: Any) -> None:
        self.client.store(INFERENCE_JOBS, {"metadata": {"namespace": "n", "name": "j", "uid": "u", **metadata}})

    @property
    def jobs(self) -> Mapping[Any, Object]:
        return self.client.objects


async def test_an_archived_job_is_kept_in_the_history_and_then_deleted() -> None:
    world = World()
    world.add_job()

    assert await world.executor.execute((Archive(RECORD, JOB),)) == ()

    assert world.history.records == [RECORD]
    assert world.jobs == {}


async def test_a_job_whose_record_cannot_be_saved_stays_and_is_told_of() -> None:
    world = World()
    world.add_job()
    world.history.fail = [HistoryUnavailable("PostgreSQL: OSError")]

    (refusal,) = await world.executor.execute((Archive(RECORD, JOB),))

    assert (refusal.reference, refusal.reason) == (JOB, "HistoryUnavailable")
    assert refusal.message == "the history takes no record: PostgreSQL: OSError"
    assert world.jobs


async def test_a_job_that_cannot_be_deleted_is_archived_again() -> None:
    world = World()
    world.add_job()
    world.client.fail = [Unavailable("no answer")]

    with pytest.raises(Unavailable):
        await world.executor.execute((Archive(RECORD, JOB),))
    await world.executor.execute((Archive(RECORD, JOB),))

    assert world.history.records == [RECORD, RECORD]
    assert world.jobs == {}


async def test_of_many_records_one_waits_for_a_history_that_is_away() -> None:
    world = World()
    world.add_job()
    world.history.fail = [HistoryUnavailable("away")] * 20

    refusals = [await world.executor.execute((Archive(RECORD, JOB),)) for _ in range(20)]

    assert {refusal.reason for (refusal,) in refusals} == {"HistoryUnavailable"}
    assert world.history.asked == 1


@pytest.mark.parametrize("successor", [None, "another"])
async def test_a_job_that_is_gone_already_is_archived_and_its_successor_is_spared(successor: str | None) -> None:
    world = World()
    if successor:
        world.add_job(uid=successor)

    assert await world.executor.execute((Archive(RECORD, JOB),)) == ()

    assert world.history.records == [RECORD]
    assert [body["metadata"]["uid"] for body in world.jobs.values()] == ([successor] if successor else [])


async def test_a_job_that_somebody_deletes_is_not_archived() -> None:
    world = World()
    world.add_job()

    await world.executor.execute((Archive(RECORD, JOB),), deleting=True)

    assert world.history.records == []
    assert world.jobs


def reading_order() -> WriteReadingOrder:
    order = {
        "namespace": "n",
        "job": "j",
        "uid": "u",
        "type": "chat",
        "input": {"http": {"url": "https://example.com/records.jsonl"}},
        "specHash": "h",
    }
    return WriteReadingOrder(ReadingOrder.model_validate(order))


async def test_a_reading_order_is_written_once() -> None:
    folder = Folder()
    world = World(folder)

    assert await world.executor.execute((reading_order(), reading_order())) == ()

    assert list(folder.created) == ["reading.json"]


def work_order(*records: str, endpoint: str = "http://b.n.svc") -> WriteWorkOrder:
    order = {
        "namespace": "n",
        "job": "j",
        "uid": "u",
        "type": "chat",
        "model": "m",
        "endpoint": endpoint,
        "format": "jsonl",
        "records": [{"text": record} for record in records],
        "concurrency": 1,
        "retry": {},
        "requestTimeoutSeconds": 1,
        "specHash": "h",
    }
    return WriteWorkOrder(WorkOrder.model_validate(order))


async def test_a_work_order_that_is_there_already_is_the_one_that_is_wanted() -> None:
    world = World(Folder())
    await world.executor.execute((work_order("a", "b"),))

    assert await world.executor.execute((work_order("a", "b"), Create(CHILD))) == ()

    assert [name for _, name in world.client.writes] == ["jobs/j-0"]


@pytest.mark.parametrize("other", [work_order("a"), work_order("a", "b", endpoint="http://c.n.svc")])
async def test_another_one_stands_and_no_worker_is_made_as_if_it_did_not(other: WriteWorkOrder) -> None:
    folder = Folder()
    world = World(folder)
    await world.executor.execute((work_order("a", "b"),))
    standing = dict(folder.created)

    (refusal,) = await world.executor.execute((other, Create(CHILD)))

    assert (refusal.reason, refusal.reference) == (ALREADY_PLANNED, JOB)
    assert folder.created == standing
    assert world.client.writes == []


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (StoreUnavailable("no answer"), "ArtifactStoreUnavailable"),
        (StoreUnavailable("less than 5 % is free", code=INSUFFICIENT_STORAGE), "ArtifactStoreFull"),
        (StoreRefused("no right", code="forbidden", status=403), "ArtifactStoreUnavailable"),
    ],
)
async def test_a_store_that_takes_no_order_is_a_refusal(failure: Exception, reason: str) -> None:
    world = World(Folder(failure))

    (refusal,) = await world.executor.execute((reading_order(),))

    assert (refusal.reason, refusal.reference.uid) == (reason, "u")
    assert str(failure) in refusal.message


@pytest.mark.parametrize("action", [Create(CHILD), Apply(CHILD), Scale(REFERENCE, 2), Delete(REFERENCE)], ids=type)
async def test_a_webhook_that_is_away_is_told_instead_of_waited_for_in_silence(action: Action) -> None:
    world = World()
    world.client.fail = [Unavailable(WEBHOOK, status=500, reason="InternalError")]

    (refusal,) = await world.executor.execute((action,))

    assert (refusal.reference, refusal.reason, refusal.message) == (REFERENCE, "InternalError", WEBHOOK)


@pytest.mark.parametrize("status", [0, 502, 503, 504])
async def test_an_apiserver_that_is_away_is_asked_again(status: int) -> None:
    world = World()
    world.client.fail = [Unavailable("the server is currently unable to handle the request", status=status)]

    with pytest.raises(Unavailable):
        await world.executor.execute((Create(CHILD),))


async def test_of_many_orders_one_waits_for_a_store_that_takes_none() -> None:
    folder = Folder(StoreUnavailable("less than 5 % is free", code="insufficient_storage"))
    world = World(folder)

    refusals = [await world.executor.execute((reading_order(),)) for _ in range(20)]

    assert {refusal.reason for (refusal,) in refusals} == {"ArtifactStoreFull"}
    assert folder.asked == 1


async def test_a_conflict_without_a_uid_is_tried_again() -> None:
    world = World()
    world.client.fail = [Conflict("somebody was faster")]
    nameless = ObjectReference(api_version="splai.dev/v1alpha1", kind="InferenceJob", namespace="n", name="j")

    with pytest.raises(Conflict):
        await world.executor.execute((Archive(RECORD, nameless),))


SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"namespace": "n", "name": "b", "labels": {"app": "ours"}, "ownerReferences": CONTROLLED_BY_US},
    "spec": {},
}
APPLIED_BY_US = [{"manager": "splai", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
APPLIED_BY_OTHERS = [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]


def _no_folder(*_: object) -> Any:
    pytest.fail("the store is not asked here")


class Applying(MemoryClient):
    """Remembers what was applied by force."""

    def __init__(self) -> None:
        super().__init__()
        self.forced: list[str] = []

    async def apply(self, resource: Resource, namespace: str | None, body: Object, *, force: bool = False) -> Object:
        if force:
            self.forced.append(body["metadata"]["name"])
        return body


@pytest.mark.parametrize(
    ("metadata", "refused"),
    [
        ({"ownerReferences": CONTROLLED_BY_US}, []),
        ({"labels": {"app": "ours", "more": "of others"}, "managedFields": APPLIED_BY_US}, []),
        ({"labels": {"app": "ours"}, "managedFields": APPLIED_BY_OTHERS}, ["NameConflict"]),
        ({"labels": {"app": "other"}, "managedFields": APPLIED_BY_US}, ["NameConflict"]),
        (
            {
                "labels": {"app": "ours"},
                "managedFields": APPLIED_BY_US,
                "ownerReferences": [{"uid": "x", "kind": "X", "name": "x", "controller": True}],
            },
            ["NameConflict"],
        ),
        ({}, ["NameConflict"]),
    ],
    ids=["ours", "our orphan", "applied by others", "labels of others", "another's", "nobody's"],
)
async def test_what_is_there_is_taken_by_force_only_if_it_is_ours_or_was(metadata: Object, refused: list[str]) -> None:
    client = Applying()
    client.store(SERVICES, {"metadata": {"namespace": "n", "name": "b", "uid": "s", **metadata}})
    executor = Executor(client, known=Nobody(), folder=_no_folder, history=History())

    refusals = await executor.execute((Apply(SERVICE),))

    assert [refusal.reason for refusal in refusals] == refused
    assert client.forced == ([] if refused else ["b"])

"""A cluster and a store that do what plans ask for, and on which things happen: enough to live through a job's life."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.api.ledger import Final, Progress
from splai.api.pod_template import PodTemplate
from splai.core.inferencejob.children import FINISH, PLAN
from splai.core.inferencejob.clocks import earliest
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import (
    QUEUE_LABEL,
    JobSnapshot,
    Unavailable,
    WorkloadMissing,
    needs_progress,
    needs_workload,
)
from splai.core.observed import CHILD_LABEL, ObservedCondition, ObservedJob, ObservedPod
from splai.core.plan import Archive, Create, Delete, Scale, WriteReadingOrder, WriteWorkOrder
from tests.unit.core.builders import (
    NOW,
    JobPlan,
    canceled,
    make_backend,
    make_child,
    make_final,
    make_manifest,
    make_pod,
    make_progress,
    make_reading,
    make_snapshot,
    suspended,
    with_status,
)

GRACE = timedelta(seconds=30)
MOST_LOOKS = 10
REFUSED_RETRY = 60.0


@dataclass
class World:
    """One InferenceJob of ``records`` one-record tasks, and all that is around it. Method names are what happens."""

    job: InferenceJob
    records: int = 3
    now: datetime = NOW
    ordered: bool = False
    read: bool = False
    planned: bool = False
    committed: int = 0
    failed: int = 0
    final: Final | None = None
    store_is_up: bool = True
    store_is_full: bool = False
    backend_is_there: bool = True
    default_queue: bool = False
    """The namespace has a LocalQueue into which Kueue puts every Job that names none."""
    children: dict[str, ObservedJob] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    pods: dict[str, ObservedPod] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Pods on nodes that do not answer: asked to leave, they stay for ever."""
    made: int = 0
    """Jobs and pods so far: each has a UID of its own, whatever its name."""
    failures: int = 0
    """Of pods of workers, as their Jobs counted them."""
    archived: bool = False

    def snapshot(self) -> JobSnapshot:
        children, pods = tuple(self.children.values()), tuple(self.pods.values())
        progress: Progress | Unavailable | None = None
        if needs_progress(self.job, children, pods):
            progress = self._progress() if self.store_is_up else Unavailable("away")
        backends = (make_backend(),) if self.backend_is_there else ()
        workload = WorkloadMissing() if needs_workload(self.job, children, self.now) else None
        return make_snapshot(
            self.job, child_jobs=children, pods=pods, progress=progress, backends=backends, workload=workload
        )

    def _progress(self) -> Progress:
        if not self.planned:
            return make_reading(found=make_manifest(self.records) if self.read else None)
        seen = make_progress(self.records, committed=self.committed, failed=self.failed, final=self.final)
        return seen.model_copy(update={"store_full": self.store_is_full})

    def told_by_watches(self) -> tuple[Any, ...]:
        """All that the operator is told when it changes; of the artifact store nobody tells it anything."""
        asked = (self.job.spec, self.job.metadata["labels"])
        return (*asked, dict(self.children), dict(self.pods), self.backend_is_there)

    def reconcile(self) -> JobPlan:
        """Decide, carry out and write the status; a store that is away refuses the work order, and nothing happens."""
        decision = plan(self.snapshot(), self.now)
        if self.refuses(decision):
            return decision
        for action in decision.actions:
            match action:
                case WriteReadingOrder():
                    self.ordered = True
                case WriteWorkOrder():
                    self.planned = True
                case Archive():
                    self.archived = True
                case Create():
                    self._create(action.body["metadata"]["labels"], action.body["spec"])
                case Delete():
                    self._remove(action.reference.name)
                case Scale():
                    child = self.children[action.reference.name]
                    self.children[child.name] = replace(child, parallelism=action.parallelism)
        self.job = with_status(self.job, decision.status)
        return decision

    def refuses(self, decision: JobPlan) -> bool:
        orders = (WriteReadingOrder, WriteWorkOrder)
        return not self.store_is_up and any(isinstance(action, orders) for action in decision.actions)

    def pods_are_made(self) -> None:
        """By Kubernetes, for Jobs that have none; one that is asked to leave is replaced when it is gone."""
        for child in self.children.values():
            served = child.suspended or child.ended or any(pod for pod in self._pods_of(child) if not pod.ended)
            if not served:
                self.made += 1
                pod = make_pod(
                    child=child.labels[CHILD_LABEL],
                    phase="Pending",
                    created=self.now,
                    name=f"{child.name}-{self.made}",
                    owner_uid=child.uid,
                )
                self.pods[pod.name] = pod

    def _create(self, labels: dict[str, str], spec: dict[str, Any]) -> None:
        label, held = labels[CHILD_LABEL], spec.get("suspend", False)
        if self.default_queue and QUEUE_LABEL not in labels:
            labels, held = {**labels, QUEUE_LABEL: "default"}, True
        size = spec.get("parallelism", 1)
        self.made += 1
        uid = f"uid-of-child-{self.made}"
        child = make_child(label, uid=uid, created=self.now, parallelism=size, suspended=held, labels=labels)
        env = spec["template"]["spec"]["containers"][0]["env"]
        self.codes[child.name] = next((it["value"] for it in env if it["name"] == "SPLAI_CLOSING_CODE"), "")
        self.children.setdefault(child.name, child)
        self.limits[child.name] = spec["backoffLimit"]

    def _remove(self, name: str) -> None:
        child = self.children.pop(name, None)
        for pod in self._pods_of(child) if child else ():
            self._ask_to_leave(pod)

    def _pods_of(self, child: ObservedJob) -> list[ObservedPod]:
        return [pod for pod in self.pods.values() if pod.owner_uid == child.uid]

    def _ask_to_leave(self, pod: ObservedPod) -> None:
        if pod.ended:
            del self.pods[pod.name]
        elif pod.deletion is None:
            self.pods[pod.name] = replace(pod, deletion=self.now + GRACE)

    @property
    def works(self) -> bool:
        return self._running() is not None

    def _running(self) -> ObservedPod | None:
        return next((pod for pod in self.pods.values() if pod.phase == "Running" and pod.name not in self.lost), None)

    def _update_child(self, pod: ObservedPod, **changes: object) -> ObservedJob | None:
        name = next((key for key, child in self.children.items() if child.uid == pod.owner_uid), None)
        if name is None:  # it was deleted, and the pod is on its way out
            return None
        self.children[name] = replace(self.children[name], **changes)  # type: ignore[arg-type]
        return self.children[name]

    def pods_start(self) -> None:
        for pod in self.pods.values():
            if pod.phase == "Pending" and pod.deletion is None:
                self.pods[pod.name] = replace(pod, phase="Running", ready=True)

    def pods_leave(self) -> None:
        """Those that were asked to."""
        leaving = {pod.name for pod in self.pods.values() if pod.deletion} - self.lost
        self.pods = {name: pod for name, pod in self.pods.items() if name not in leaving}

    def a_node_is_lost(self) -> None:
        if pod := self._running():
            self.lost.add(pod.name)
            self._ask_to_leave(pod)

    def a_task_is_committed(self) -> None:
        pod = self._running()
        if pod and pod.labels[CHILD_LABEL] not in (PLAN, FINISH) and self.final is None and not self.store_is_full:
            self.committed = min(self.records, self.committed + 1)

    def the_first_record_fails(self) -> None:
        if self.committed == 0:
            self.a_task_is_committed()
            self.failed = self.committed

    def the_input_is_read(self) -> None:
        pod = self._running()
        if pod and pod.labels[CHILD_LABEL] == PLAN and self.ordered:
            self.read = True
            self.a_pod_ends()

    def the_output_is_written(self) -> None:
        """By a worker once all is committed, by the finish Job also when it was told why it is not."""
        pod = self._running()
        if pod is None or pod.labels[CHILD_LABEL] == PLAN or self.final is not None:
            return
        complete, code = self.committed == self.records, self.codes[f"triage-{pod.labels[CHILD_LABEL]}"]
        if complete or code:
            lost = self.records - self.committed
            self.final = make_final(
                self.records, failed=self.failed + lost, complete=complete, code="" if complete else code
            )

    def a_pod_ends(self) -> None:
        if pod := self._running():
            self.pods[pod.name] = replace(pod, phase="Succeeded", ready=False)
            self._update_child(pod, succeeded=1, complete=ObservedCondition(status="True", since=self.now))

    def a_pod_fails(self) -> None:
        pod = self._running()
        if pod is None:
            return
        self.pods[pod.name] = replace(pod, phase="Failed", ready=False)
        failed = next((child.failed for child in self.children.values() if child.uid == pod.owner_uid), 0) + 1
        child = self._update_child(pod, failed=failed)
        if child and child.labels[CHILD_LABEL].isdecimal():
            self.failures += 1
        if child and failed > self.limits[child.name]:
            over = ObservedCondition(status="True", reason="BackoffLimitExceeded", since=self.now)
            self._update_child(pod, failure=over)

    def somebody_deletes_a_child(self) -> None:
        if self.children:
            self._remove(next(reversed(self.children)))

    def somebody_orphans_pods(self) -> None:
        """``kubectl delete job --cascade=orphan``."""
        if self.children:
            _, child = self.children.popitem()
            for pod in self._pods_of(child):
                self.pods[pod.name] = replace(pod, owner_uid=None)

    def the_user_suspends(self) -> None:
        self.job = suspended(self.job)

    def the_user_resumes(self) -> None:
        self.job = suspended(self.job, suspend=False)

    def _held(self, *, held: bool) -> ObservedJob | None:
        return next((it for it in self.children.values() if it.suspended is held and it.ended is None), None)

    def the_queue_admits(self) -> None:
        if (child := self._held(held=True)) and child.deletion is None:
            resumed = ObservedCondition(status="False", since=self.now)
            self.children[child.name] = replace(child, suspended=False, suspension=resumed)

    def the_queue_evicts(self) -> None:
        child = self._held(held=False)
        if child and QUEUE_LABEL in child.labels:
            held = ObservedCondition(status="True", since=self.now)
            self.children[child.name] = replace(child, suspended=True, suspension=held)
            for pod in self._pods_of(child):
                self._ask_to_leave(pod)

    def the_user_changes_the_queue(self) -> None:
        """By a label: the generation stays as it is."""
        labels = {} if QUEUE_LABEL in self.job.metadata["labels"] else {QUEUE_LABEL: "cpu"}
        self.job = self.job.model_copy(update={"metadata": {**self.job.metadata, "labels": labels}})

    def the_user_changes_the_template(self) -> None:
        """By a suspension that is over before anybody sees it."""
        template = None if self.job.spec.workers.template else PodTemplate(node_selector={"gpu": "l4"})
        workers = self.job.spec.workers.model_copy(update={"template": template})
        self.job = self.job.model_copy(update={"spec": self.job.spec.model_copy(update={"workers": workers})})

    def the_user_cancels(self) -> None:
        self.job = canceled(self.job)

    def the_store_goes_away(self) -> None:
        self.store_is_up = False

    def the_store_comes_back(self) -> None:
        self.store_is_up = True

    def the_store_fills_up(self) -> None:
        self.store_is_full = True

    def the_store_has_room(self) -> None:
        self.store_is_full = False

    def the_backend_goes_away(self) -> None:
        self.backend_is_there = False

    def the_backend_comes_back(self) -> None:
        self.backend_is_there = True

    def a_minute_passes(self) -> None:
        self.pods_leave()
        self.now += timedelta(seconds=61)


@dataclass
class Sleeper:
    """An operator that looks when a watch tells something, or when it said that it would, and at no other time."""

    world: World
    due: datetime | None = None
    looked: Callable[[World, InferenceJobStatus, JobPlan], None] = lambda *_: None
    """Called after each look with the status before it, and with what was decided."""

    def __post_init__(self) -> None:
        self._look()

    def let(self, happening: Callable[[World], None]) -> None:
        """It happens, and whoever has to hear of it does."""
        before = self.world.told_by_watches()
        happening(self.world)
        if self.world.told_by_watches() != before or (self.due and self.world.now >= self.due):
            self._look()

    def wait(self) -> bool:
        """Until it is time for the next look; False if there is to be none."""
        if self.due is None:
            return False
        self.world.now = max(self.world.now, self.due)
        self._look()
        return True

    def _look(self) -> None:
        """Its own writes are no news, but what they lead to is: a Job that is gone, and pods that have to leave."""
        for _ in range(MOST_LOOKS):
            before, children = self.world.job.status, set(self.world.children)
            decision = self.world.reconcile()
            due = earliest(decision.requeue_after, decision.poll_after)
            wait = REFUSED_RETRY if self.world.refuses(decision) else due
            self.due = None if wait is None else self.world.now + timedelta(seconds=wait)
            self.looked(self.world, before, decision)
            if children <= set(self.world.children):
                return
        raise AssertionError("one thing that happened led to actions without an end")

"""A cluster and a store that do what plans ask for, and on which things happen: enough to live through a job's life."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from splai.api.inference_job import InferenceJob
from splai.api.ledger import Final, Progress
from splai.core.inferencejob.children import FINISH, PLAN
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
    backend_is_there: bool = True
    children: dict[str, ObservedJob] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    pods: dict[str, ObservedPod] = field(default_factory=dict)
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
        return make_progress(self.records, committed=self.committed, failed=self.failed, final=self.final)

    def reconcile(self) -> JobPlan:
        """Decide, carry out and write the status; a store that is away refuses the work order, and nothing happens."""
        decision = plan(self.snapshot(), self.now)
        orders = (WriteReadingOrder, WriteWorkOrder)
        if not self.store_is_up and any(isinstance(action, orders) for action in decision.actions):
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

    def _create(self, labels: dict[str, str], spec: dict[str, Any]) -> None:
        label, held = labels[CHILD_LABEL], spec.get("suspend", False)
        size = spec.get("parallelism", 1)
        child = make_child(label, created=self.now, parallelism=size, suspended=held, labels=labels)
        env = spec["template"]["spec"]["containers"][0]["env"]
        self.codes[child.name] = next((it["value"] for it in env if it["name"] == "SPLAI_CLOSING_CODE"), "")
        self.children.setdefault(child.name, child)
        self.limits[child.name] = spec["backoffLimit"]
        if not held:
            self._add_pod(label, 0)

    def _add_pod(self, label: str, number: int) -> None:
        pod = make_pod(number, child=label, phase="Pending", created=self.now)
        self.pods[pod.name] = pod

    def _remove(self, name: str) -> None:
        child = self.children.pop(name, None)
        if child:
            self.pods = {key: pod for key, pod in self.pods.items() if pod.owner_uid != child.uid}

    def _running(self) -> ObservedPod | None:
        return next((pod for pod in self.pods.values() if pod.phase == "Running"), None)

    def _update_child(self, pod: ObservedPod, **changes: object) -> ObservedJob:
        name = next(key for key, child in self.children.items() if child.uid == pod.owner_uid)
        self.children[name] = replace(self.children[name], **changes)  # type: ignore[arg-type]
        return self.children[name]

    def pods_start(self) -> None:
        for pod in self.pods.values():
            if pod.phase == "Pending":
                self.pods[pod.name] = replace(pod, phase="Running", ready=True)

    def a_task_is_committed(self) -> None:
        pod = self._running()
        if pod and pod.labels[CHILD_LABEL] not in (PLAN, FINISH) and self.final is None:
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
        failed = next(child.failed for child in self.children.values() if child.uid == pod.owner_uid) + 1
        child = self._update_child(pod, failed=failed)
        if failed > self.limits[child.name]:
            over = ObservedCondition(status="True", reason="BackoffLimitExceeded", since=self.now)
            self._update_child(pod, failure=over)
        else:
            self._add_pod(child.labels[CHILD_LABEL], failed)

    def somebody_deletes_a_child(self) -> None:
        if self.children:
            self._remove(next(reversed(self.children)))

    def the_user_suspends(self) -> None:
        self.job = suspended(self.job)

    def the_user_resumes(self) -> None:
        self.job = suspended(self.job, suspend=False)

    def _held(self, *, held: bool) -> ObservedJob | None:
        return next((it for it in self.children.values() if it.suspended is held and it.ended is None), None)

    def the_queue_admits(self) -> None:
        if (child := self._held(held=True)) and child.deletion is None:
            self.children[child.name] = replace(child, suspended=False)
            self._add_pod(child.labels[CHILD_LABEL], child.failed)

    def the_queue_evicts(self) -> None:
        child = self._held(held=False)
        if child and child.labels[CHILD_LABEL].isdecimal() and QUEUE_LABEL in self.job.metadata["labels"]:
            self.children[child.name] = replace(child, suspended=True)
            self.pods = {key: pod for key, pod in self.pods.items() if pod.owner_uid != child.uid or pod.ended}

    def the_user_cancels(self) -> None:
        self.job = canceled(self.job)

    def the_store_goes_away(self) -> None:
        self.store_is_up = False

    def the_store_comes_back(self) -> None:
        self.store_is_up = True

    def the_backend_goes_away(self) -> None:
        self.backend_is_there = False

    def the_backend_comes_back(self) -> None:
        self.backend_is_there = True

    def a_minute_passes(self) -> None:
        self.now += timedelta(seconds=61)

"""A cluster and a store that do what plans ask for, and on which things happen: enough to live through a job's life."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from splai.api.inference_job import InferenceJob
from splai.api.ledger import Final, Progress
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import JobSnapshot, Unavailable, needs_progress
from splai.core.observed import CHILD_LABEL, ObservedCondition, ObservedJob, ObservedPod
from splai.core.plan import Create, Delete, Scale, WriteWorkOrder
from tests.unit.core.builders import (
    NOW,
    JobPlan,
    canceled,
    make_backend,
    make_child,
    make_final,
    make_pod,
    make_progress,
    make_snapshot,
    with_status,
)


@dataclass
class World:
    """One InferenceJob of ``records`` one-record tasks, and all that is around it. Method names are what happens."""

    job: InferenceJob
    records: int = 3
    now: datetime = NOW
    planned: bool = False
    committed: int = 0
    final: Final | None = None
    store_is_up: bool = True
    backend_is_there: bool = True
    children: dict[str, ObservedJob] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    pods: dict[str, ObservedPod] = field(default_factory=dict)

    def snapshot(self) -> JobSnapshot:
        children, pods = tuple(self.children.values()), tuple(self.pods.values())
        progress: Progress | Unavailable | None = None
        if needs_progress(self.job, children, pods):
            seen = make_progress(self.records, committed=self.committed, final=self.final)
            progress = seen.model_copy(update={"planned": self.planned}) if self.store_is_up else Unavailable("away")
        backends = (make_backend(),) if self.backend_is_there else ()
        return make_snapshot(self.job, child_jobs=children, pods=pods, progress=progress, backends=backends)

    def reconcile(self) -> JobPlan:
        """Decide, carry out and write the status; a store that is away refuses the work order, and nothing happens."""
        decision = plan(self.snapshot(), self.now)
        if not self.store_is_up and any(isinstance(action, WriteWorkOrder) for action in decision.actions):
            return decision
        for action in decision.actions:
            match action:
                case WriteWorkOrder():
                    self.planned = True
                case Create():
                    self._create(action.body["metadata"]["labels"][CHILD_LABEL], action.body["spec"])
                case Delete():
                    self._remove(action.reference.name)
                case Scale():
                    child = self.children[action.reference.name]
                    self.children[child.name] = replace(child, parallelism=action.parallelism)
        self.job = with_status(self.job, decision.status)
        return decision

    def _create(self, label: str, spec: dict[str, int]) -> None:
        child = make_child(label, created=self.now, parallelism=spec.get("parallelism", 1))
        self.children.setdefault(child.name, child)
        self.limits[child.name] = spec["backoffLimit"]
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
        if pod and pod.labels[CHILD_LABEL] != "finish" and self.final is None:
            self.committed = min(self.records, self.committed + 1)

    def the_output_is_written(self) -> None:
        """By a worker once all is committed, by the finish Job in any case."""
        pod = self._running()
        complete = self.committed == self.records
        if pod and self.final is None and (complete or pod.labels[CHILD_LABEL] == "finish"):
            self.final = make_final(self.records, failed=self.records - self.committed, complete=complete)

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

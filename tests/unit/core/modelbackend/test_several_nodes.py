"""Backends whose replicas span several nodes: their LeaderWorkerSet, what it is waiting for, and the way to and fro."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from splai.api.model_backend import ModelBackend, ModelBackendStatus
from splai.core.conditions import find_condition
from splai.core.modelbackend.plan import plan
from splai.core.modelbackend.snapshot import BackendSnapshot, LeaderWorkerSetsMissing, needs_leader_worker_set
from splai.core.observed import ObservedCondition, ObservedLeaderWorkerSet, ObservedPod
from splai.core.plan import Apply, Delete, Plan
from tests.unit.core.modelbackend.builders import (
    NO_GPU,
    NOW,
    SETTINGS,
    make_backend,
    make_deployment,
    make_pod,
    make_service,
    ready_pod,
    received,
)

GOLDEN = Path(__file__).parent / "testdata"
ONE_NODE: dict[str, Any] = {
    "model": {"id": "big", "source": "hf://Qwen/Qwen3-235B-A22B"},
    "engine": {"type": "vLLM"},
    "resources": {"gpu": {"count": 8, "product": "NVIDIA-H100-80GB-HBM3"}, "memory": "1Ti"},
}
NO_8_GPUS = f"{NO_GPU} (each pod asks for 8 nvidia.com/gpu)"
SEEN = {"Progressing": ObservedCondition(status="True")}


def with_nodes(nodes: int = 2, *, status: ModelBackendStatus | None = None, **spec: Any) -> ModelBackend:
    return make_backend(status=status, **{**ONE_NODE, **spec, "resources": ONE_NODE["resources"] | {"nodes": nodes}})


def applied_set(backend: ModelBackend) -> dict[str, Any]:
    actions = plan(BackendSnapshot(backend=backend, settings=SETTINGS), NOW).actions
    return next(it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == "LeaderWorkerSet")


def make_set(backend: ModelBackend, **fields: Any) -> ObservedLeaderWorkerSet:
    """The backend's set as applied and as its controller has seen it."""
    body = received(applied_set(backend), "uid-of-the-set")
    return replace(ObservedLeaderWorkerSet.from_object(body), **{"conditions": SEEN, **fields})


def other_node(name: str = "smol-nodes-0-1", **fields: Any) -> ObservedPod:
    pod = make_pod(name, **fields)
    return replace(pod, labels={**pod.labels, "app.kubernetes.io/component": "engine-worker"})


def decide(
    *pods: ObservedPod, backend: ModelBackend | None = None, now: datetime = NOW, **snapshot: Any
) -> Plan[ModelBackendStatus]:
    """The plan for a backend of two nodes whose set and Service are applied."""
    backend = backend or with_nodes()
    observed = {"leader_worker_set": make_set(backend), "service": make_service(backend), **snapshot}
    return plan(BackendSnapshot(backend=backend, settings=SETTINGS, pods=pods, **observed), now)


def verdict(decision: Plan[ModelBackendStatus], kind: str) -> tuple[str, str, str]:
    condition = find_condition(decision.status.conditions, kind)
    assert condition is not None
    return condition.status, condition.reason, condition.message


def targets(decision: Plan[ModelBackendStatus]) -> list[tuple[str, str]]:
    """What the actions do, to which kind."""
    return [
        (type(it).__name__, it.body["kind"] if isinstance(it, Apply) else it.reference.kind)
        for it in decision.actions
        if isinstance(it, Apply | Delete)
    ]


class TestTheSet:
    @pytest.mark.parametrize(
        ("name", "engine"),
        [
            ("leader_worker_set.json", {"type": "vLLM", "args": ["--max-model-len", "32768"]}),
            ("leader_worker_set_sglang.json", {"type": "SGLang"}),
        ],
    )
    def test_it_is_this_one(self, name: str, engine: dict[str, Any]) -> None:
        """Beside what the test names, whatever changes it restarts every such backend of an upgraded installation."""
        backend = with_nodes(engine=engine, replicas=2)
        assert applied_set(backend) == json.loads((GOLDEN / name).read_text())

    def test_only_the_first_node_is_found_by_the_service(self) -> None:
        backend = with_nodes()
        pods = applied_set(backend)["spec"]["leaderWorkerTemplate"]
        actions = plan(BackendSnapshot(backend=backend, settings=SETTINGS), NOW).actions
        service = next(it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == "Service")
        selector = service["spec"]["selector"].items()
        assert selector <= pods["leaderTemplate"]["metadata"]["labels"].items()
        assert not selector <= pods["workerTemplate"]["metadata"]["labels"].items()

    def test_the_template_lies_over_all_nodes(self) -> None:
        template = {
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200", "zone": "a"},
            "env": [{"name": "NCCL_IB_HCA", "value": "mlx5"}],
            "resources": {"limits": {"rdma/ib": "1"}},
        }
        pods = applied_set(with_nodes(template=template))["spec"]["leaderWorkerTemplate"]
        for pod in (pods["leaderTemplate"]["spec"], pods["workerTemplate"]["spec"]):
            (engine,) = pod["containers"]
            assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H200", "zone": "a"}
            assert {"name": "NCCL_IB_HCA", "value": "mlx5"} in engine["env"]
            assert engine["resources"]["limits"]["rdma/ib"] == "1"

    @pytest.mark.parametrize(
        ("change", "new_revision"),
        [
            (with_nodes(replicas=3), False),
            (with_nodes(rollout={"maxSurge": 2}), False),
            (with_nodes(3), True),
            (with_nodes(engine={"type": "vLLM", "args": ["--seed", "1"]}), True),
        ],
        ids=["replicas", "rollout", "nodes", "arguments"],
    )
    def test_what_changes_the_pods_is_a_new_revision(self, change: ModelBackend, new_revision: bool) -> None:
        def revisions(backend: ModelBackend) -> list[str]:
            pods = applied_set(backend)["spec"]["leaderWorkerTemplate"]
            return [pods[it]["metadata"]["labels"]["splai.dev/revision"] for it in ("leaderTemplate", "workerTemplate")]

        leader, worker = revisions(change)
        assert leader == worker
        assert (leader != revisions(with_nodes())[0]) is new_revision

    def test_it_is_left_alone_when_it_is_applied(self) -> None:
        assert decide(ready_pod(backend=with_nodes()), other_node(backend=with_nodes())).actions == ()

    def test_it_is_put_right_when_somebody_changed_it(self) -> None:
        assert targets(decide(leader_worker_set=make_set(with_nodes(), applied={}))) == [("Apply", "LeaderWorkerSet")]

    def test_it_is_made_again_when_it_is_gone(self) -> None:
        assert targets(decide(leader_worker_set=None)) == [("Apply", "LeaderWorkerSet")]

    def test_one_that_is_another_owners_is_not_taken_for_the_backends(self) -> None:
        foreign = make_set(with_nodes(), owner_uid="uid-of-another")
        assert targets(decide(leader_worker_set=foreign)) == [("Apply", "LeaderWorkerSet")]

    def test_it_is_looked_at_again_because_nobody_tells_of_its_changes(self) -> None:
        assert decide(ready_pod(backend=with_nodes())).requeue_after == 10


class TestWithoutLeaderWorkerSet:
    def decision(self, **snapshot: Any) -> Plan[ModelBackendStatus]:
        return decide(leader_worker_set=LeaderWorkerSetsMissing(), **snapshot)

    def test_the_condition_says_what_to_install(self) -> None:
        status, reason, message = verdict(self.decision(), "Ready")
        assert (status, reason) == ("False", "LeaderWorkerSetNotInstalled")
        assert "resources.nodes is 2" in message
        assert "https://lws.sigs.k8s.io" in message

    def test_nothing_moves_until_it_is_there(self) -> None:
        decision = self.decision()
        assert decision.actions == ()
        assert verdict(decision, "Stalled")[:2] == ("True", "LeaderWorkerSetNotInstalled")
        assert verdict(decision, "Reconciling")[:2] == ("False", "Stalled")

    def test_it_is_looked_for_again(self) -> None:
        assert self.decision().requeue_after == 10

    def test_what_served_until_then_serves_on(self) -> None:
        before = make_backend(**ONE_NODE)
        decision = self.decision(deployment=make_deployment(before), service=make_service(before))
        assert decision.actions == ()

    def test_a_backend_of_one_node_does_not_need_it(self) -> None:
        backend = make_backend(**ONE_NODE)
        observed: dict[str, Any] = {"deployment": make_deployment(backend), "service": make_service(backend)}
        snapshot = BackendSnapshot(
            backend=backend,
            settings=SETTINGS,
            pods=[ready_pod(backend=backend)],
            leader_worker_set=LeaderWorkerSetsMissing(),
            **observed,
        )
        decision = plan(snapshot, NOW)
        assert verdict(decision, "Ready")[:2] == ("True", "Ready")
        assert decision.requeue_after is None


class TestStatus:
    def test_a_replica_is_counted_once_however_many_nodes_it_has(self) -> None:
        backend = with_nodes()
        decision = decide(ready_pod(backend=backend), other_node(backend=backend, ready=True))
        assert (decision.status.replicas, decision.status.ready_replicas) == (1, 1)
        assert verdict(decision, "Ready") == ("True", "Ready", "1 of 1 replicas answer")
        assert verdict(decision, "Reconciling")[:2] == ("False", "Settled")
        assert verdict(decision, "Scheduled")[:2] == ("True", "Scheduled")

    def test_a_node_that_finds_no_gpus_is_the_schedulers_to_tell(self) -> None:
        backend = with_nodes()
        decision = decide(make_pod(backend=backend), other_node(backend=backend, unschedulable_for=60))
        assert verdict(decision, "Ready") == ("False", "Unschedulable", NO_8_GPUS)
        assert verdict(decision, "Scheduled") == ("False", "Unschedulable", NO_8_GPUS)

    def test_a_replica_is_not_scheduled_before_each_of_its_nodes_has_a_pod(self) -> None:
        assert verdict(decide(make_pod(backend=with_nodes())), "Scheduled")[:2] == ("Unknown", "Waiting")

    def test_what_ails_any_of_its_nodes_is_why_it_does_not_answer(self) -> None:
        backend = with_nodes()
        ailing = other_node(backend=backend, waiting_reason="ErrImagePull", waiting_message="not found")
        assert verdict(decide(make_pod(backend=backend), ailing), "Ready")[1] == "ImagePullFailed"

    def test_a_rollout_is_blocked_when_one_of_the_nodes_is_missing(self) -> None:
        backend = with_nodes()
        new = [make_pod("smol-nodes-1", backend=backend), other_node(backend=backend, unschedulable_for=60)]
        decision = decide(ready_pod("smol-nodes-0", old=True), *new)
        assert verdict(decision, "RolloutBlocked") == ("True", "Unschedulable", NO_8_GPUS)

    def test_old_replicas_make_room_where_that_is_asked_for(self) -> None:
        backend = with_nodes(rollout={"whenBlocked": "Replace"})
        new = [make_pod("smol-nodes-1", backend=backend), other_node(backend=backend, unschedulable_for=60)]
        decision = decide(ready_pod("smol-nodes-0", old=True), *new, backend=backend)
        (action,) = decision.actions
        assert isinstance(action, Apply)
        update = action.body["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]
        assert update == {"maxSurge": 0, "maxUnavailable": 1}
        assert "strategy" not in action.body["spec"]

    def test_a_set_that_no_controller_takes_up_says_so(self) -> None:
        decision = decide(leader_worker_set=make_set(with_nodes(), conditions={}))
        assert verdict(decision, "Ready") == (
            "False",
            "Creating",
            "LeaderWorkerSet smol-nodes waits for its controller",
        )


class TestFromOneToSeveral:
    """And back: what ran the replicas until then goes when it is not needed any more."""

    BEFORE = make_backend(**ONE_NODE)

    def change(self, *pods: ObservedPod, backend: ModelBackend, **snapshot: Any) -> list[tuple[str, str]]:
        observed = {"service": make_service(backend), **snapshot}
        return targets(plan(BackendSnapshot(backend=backend, settings=SETTINGS, pods=pods, **observed), NOW))

    def test_the_old_replicas_serve_until_the_new_ones_answer(self) -> None:
        backend, old = with_nodes(), ready_pod("old", backend=self.BEFORE)
        observed = {"deployment": make_deployment(self.BEFORE), "leader_worker_set": make_set(backend)}
        assert self.change(old, make_pod(backend=backend), backend=backend, **observed) == []
        assert self.change(old, ready_pod(backend=backend), backend=backend, **observed) == [("Delete", "Deployment")]

    def test_back_to_one_node_the_set_goes(self) -> None:
        earlier = with_nodes()
        observed = {"deployment": make_deployment(self.BEFORE), "leader_worker_set": make_set(earlier)}
        pods = [ready_pod("old", backend=earlier), ready_pod(backend=self.BEFORE)]
        assert self.change(*pods, backend=self.BEFORE, **observed) == [("Delete", "LeaderWorkerSet")]

    def test_where_no_pod_may_surge_the_old_replicas_make_room(self) -> None:
        backend = with_nodes(rollout={"maxSurge": 0, "maxUnavailable": 1})
        old = ready_pod("old", backend=self.BEFORE)
        actions = self.change(old, backend=backend, deployment=make_deployment(self.BEFORE))
        assert actions == [("Delete", "Deployment"), ("Apply", "LeaderWorkerSet")]

    def test_what_runs_nothing_goes_at_once(self) -> None:
        backend = with_nodes()
        actions = self.change(backend=backend, deployment=make_deployment(self.BEFORE))
        assert actions == [("Delete", "Deployment"), ("Apply", "LeaderWorkerSet")]

    def test_it_is_deleted_once_and_by_its_uid(self) -> None:
        backend, deployment = with_nodes(), make_deployment(self.BEFORE)
        observed: dict[str, Any] = {"leader_worker_set": make_set(backend)}
        leaving = replace(deployment, deletion=NOW + timedelta(seconds=30))
        assert self.change(backend=backend, deployment=leaving, **observed) == []
        snapshot = BackendSnapshot(backend=backend, settings=SETTINGS, deployment=deployment, **observed)
        first = plan(snapshot, NOW).actions[0]
        assert isinstance(first, Delete)
        assert first.reference.uid == deployment.uid

    @pytest.mark.parametrize("foreign", [{"owner_uid": "uid-of-another"}, {"owner_uid": None}])
    def test_what_belongs_to_others_stays(self, foreign: dict[str, Any]) -> None:
        backend = with_nodes()
        observed = {"deployment": make_deployment(self.BEFORE, **foreign), "leader_worker_set": make_set(backend)}
        assert self.change(backend=backend, **observed) == []


@pytest.mark.parametrize(
    ("backend", "pods", "needed"),
    [
        (with_nodes(), (), True),
        (make_backend(), (), False),
        (make_backend(status=ModelBackendStatus(observed_generation=3)), (), False),
        (make_backend(status=ModelBackendStatus(observed_generation=2)), (), True),
        (make_backend(status=ModelBackendStatus(observed_generation=3)), (other_node(),), True),
    ],
    ids=["it spans nodes", "new, of one node", "unchanged", "it may have spanned nodes until now", "its pods are left"],
)
def test_the_set_is_asked_for_where_there_is_or_may_be_one(
    backend: ModelBackend, pods: tuple[ObservedPod, ...], needed: bool
) -> None:
    assert needs_leader_worker_set(backend, pods) is needed

"""When old pods leave before new ones are there: after the scheduler's verdict, and only as the user allows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from splai.api.model_backend import ModelBackend
from splai.core.conditions import find_condition
from splai.core.modelbackend.deployment import build_deployment
from splai.core.modelbackend.rollout import ROOM_ANNOTATION
from splai.core.modelbackend.workload import revision
from splai.core.observed import ObservedDeployment, ObservedPod
from splai.core.plan import Apply
from tests.unit.core.modelbackend.builders import (
    NO_GPU,
    SETTINGS,
    decide,
    make_backend,
    make_pod,
    ready_pod,
    received,
)

OLD_SERVES = ready_pod("old", old=True)
OLD_IS_DOWN = make_pod("old", old=True, waiting_reason="CrashLoopBackOff", exit_code=1, restarts=4)
WAITS_LONG = make_pod("new", unschedulable_for=15)
WAITS = make_pod("new", unschedulable_for=14)
ROOM = {"maxSurge": 0, "maxUnavailable": 1}
ASKED = {"maxSurge": 1, "maxUnavailable": 0}


def strategy(*pods: ObservedPod, backend: ModelBackend, **observed: Any) -> dict[str, Any] | None:
    """What the Deployment's strategy becomes, None when nothing is applied."""
    actions = decide(*pods, backend=backend, **observed).actions
    applied = next((it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == "Deployment"), None)
    return None if applied is None else applied["spec"]["strategy"]["rollingUpdate"]


@pytest.mark.parametrize(
    ("when_blocked", "pods", "becomes"),
    [
        ("Wait", [OLD_SERVES, WAITS_LONG], None),
        ("Wait", [OLD_IS_DOWN, WAITS], None),
        ("Wait", [OLD_IS_DOWN, WAITS_LONG], ROOM),
        ("Wait", [OLD_SERVES, OLD_IS_DOWN, WAITS_LONG], ROOM),
        ("Replace", [OLD_SERVES, WAITS], None),
        ("Replace", [OLD_SERVES, WAITS_LONG], ROOM),
        ("Replace", [OLD_SERVES, make_pod("new")], None),
        ("Replace", [WAITS_LONG], None),
    ],
    ids=[
        "waits as asked",
        "the scheduler may yet find a node",
        "a pod that serves nobody makes room anyway",
        "one of several serves nobody",
        "Replace too waits for the verdict",
        "an old pod leaves first",
        "a new pod that has a node is waited for",
        "there is no old pod",
    ],
)
def test_old_pods_leave_first(when_blocked: str, pods: Sequence[ObservedPod], becomes: dict[str, Any] | None) -> None:
    assert strategy(*pods, backend=make_backend(rollout={"whenBlocked": when_blocked})) == becomes


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        ({"maxSurge": "25%", "maxUnavailable": "0%"}, ROOM),
        ({"maxSurge": 1, "maxUnavailable": "50%"}, {"maxSurge": 0, "maxUnavailable": "50%"}),
        ({"maxSurge": 2, "maxUnavailable": 3}, {"maxSurge": 0, "maxUnavailable": 3}),
    ],
)
def test_as_many_at_once_as_may_be_missing_but_one_at_least(asked: dict[str, Any], becomes: dict[str, Any]) -> None:
    backend = make_backend(rollout={**asked, "whenBlocked": "Replace"})
    assert strategy(OLD_SERVES, WAITS_LONG, backend=backend) == becomes


class TestOnceBegun:
    """That old pods make room is written on the Deployment, with the revision for which they do."""

    BACKEND = make_backend(rollout={"whenBlocked": "Replace"}, replicas=3)
    MINE = revision(build_deployment(BACKEND, SETTINGS))
    HAS_A_NODE = make_pod("new", backend=BACKEND)

    def making_room(self, *, target: str = MINE) -> dict[str, Any]:
        """What was observed, with the Deployment as it was applied when the verdict came."""
        actions = decide(OLD_SERVES, WAITS_LONG, backend=self.BACKEND).actions
        (apply,) = (it for it in actions if isinstance(it, Apply))
        deployment = ObservedDeployment.from_object(received(apply.body, "uid-of-the-deployment"))
        assert deployment.annotations[ROOM_ANNOTATION] == self.MINE
        return {"deployment": replace(deployment, annotations={**deployment.annotations, ROOM_ANNOTATION: target})}

    def test_the_next_old_pod_leaves_without_another_verdict(self) -> None:
        assert strategy(OLD_SERVES, self.HAS_A_NODE, backend=self.BACKEND, **self.making_room()) is None

    def test_it_is_over_with_the_last_old_pod(self) -> None:
        assert strategy(self.HAS_A_NODE, backend=self.BACKEND, **self.making_room()) == ASKED

    def test_another_revision_waits_for_a_verdict_of_its_own(self) -> None:
        observed = self.making_room(target="the-revision-before")
        assert strategy(OLD_SERVES, self.HAS_A_NODE, backend=self.BACKEND, **observed) == ASKED

    def test_it_ends_when_the_user_wants_to_wait(self) -> None:
        waits = make_backend(replicas=3)
        assert strategy(OLD_SERVES, self.HAS_A_NODE, backend=waits, **self.making_room()) == ASKED

    def test_it_lasts_while_the_verdict_does(self) -> None:
        assert strategy(OLD_SERVES, WAITS_LONG, backend=self.BACKEND, **self.making_room()) is None


def message(*pods: ObservedPod, backend: ModelBackend) -> str:
    condition = find_condition(decide(*pods, backend=backend).status.conditions, "RolloutBlocked")
    assert condition is not None
    return condition.message if condition.status == "True" else f"not blocked: {condition.reason}"


def test_blocked_says_what_is_missing_and_how_much_of_it() -> None:
    backend = make_backend(resources={"gpu": {"count": 2}})
    pods = (OLD_SERVES, make_pod("new", backend=backend, unschedulable_for=20))
    assert message(*pods, backend=backend) == f"{NO_GPU} (each pod asks for 2 nvidia.com/gpu)"


def test_blocked_says_that_old_pods_make_room() -> None:
    backend = make_backend(rollout={"whenBlocked": "Replace"})
    assert message(OLD_SERVES, WAITS_LONG, backend=backend) == (
        f"{NO_GPU}; old pods make room, as rollout.whenBlocked is Replace"
    )


def test_a_rollout_whose_old_pods_serve_nobody_is_not_blocked_but_unschedulable() -> None:
    status = decide(OLD_IS_DOWN, WAITS_LONG).status
    assert message(OLD_IS_DOWN, WAITS_LONG, backend=make_backend()) == "not blocked: RollingOut"
    assert {c.type: c.reason for c in status.conditions}["Ready"] == "Unschedulable"


def test_the_failure_of_a_new_revision_is_told_while_the_old_one_serves() -> None:
    status = decide(OLD_SERVES, make_pod("new", waiting_reason="ErrImagePull", waiting_message="x:2 not found")).status
    ready = find_condition(status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "ImagePullFailed")
    assert ready.message == "ErrImagePull: x:2 not found; the previous revision still serves, with 1"
    assert status.endpoint == "http://smol.team.svc"

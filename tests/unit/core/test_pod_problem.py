from datetime import UTC, datetime
from typing import Any

import pytest

from splai.core.observed import ObservedCondition, ObservedContainer, ObservedPod
from splai.core.pod_problem import PodProblem, pod_problem, worst_problem

NO_NODE = ObservedCondition(status="False", reason="Unschedulable", message="0/3 nodes are available")


def make_pod(*containers: ObservedContainer, name: str = "pod", **fields: Any) -> ObservedPod:
    return ObservedPod(
        namespace="team", name=name, uid=name, owner_uid=None, labels={}, created=None, containers=containers, **fields
    )


def container(name: str = "worker", **state: Any) -> ObservedContainer:
    return ObservedContainer(name=name, **state)


@pytest.mark.parametrize(
    "pod",
    [
        make_pod(),
        make_pod(container(waiting_reason="ContainerCreating")),
        make_pod(container(started=True)),
        make_pod(container(terminated=True, exit_code=0)),
        make_pod(container(ready=True, exit_code=1, restarts=4)),
        make_pod(container(terminated=True, exit_code=1), phase="Failed"),
        make_pod(container(waiting_reason="ErrImagePull"), deletion=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=["new", "creating", "running", "a container done", "recovered", "failed for good", "being deleted"],
)
def test_a_pod_on_its_way_or_past_it_has_no_problem(pod: ObservedPod) -> None:
    assert pod_problem(pod) is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"exit_code": 1}, "worker ended with exit code 1 (2 restarts): see `kubectl logs -n team pod -c worker"),
        ({"exit_code": 139}, "exit code 139, a segmentation fault (2 restarts)"),
        ({"exit_code": 143}, "exit code 143, ended by a failed probe (2 restarts)"),
    ],
)
def test_a_crash_loop_tells_the_exit_code_and_where_to_look(state: dict[str, Any], words: str) -> None:
    problem = pod_problem(make_pod(container(waiting_reason="CrashLoopBackOff", restarts=2, **state)))
    assert problem is not None
    assert problem.reason == "CrashLoopBackOff"
    assert words in problem.message


CLAIMS = ("ResourceClaimTemplate h100", "ResourceClaim shared")


def test_a_pod_that_the_scheduler_does_not_consider_yet_waits_for_its_claims() -> None:
    problem = pod_problem(make_pod(resource_claims=CLAIMS))
    assert problem is not None
    assert problem.reason == "ResourceClaimPending"
    assert "of ResourceClaimTemplate h100 and ResourceClaim shared" in problem.message


def test_where_the_scheduler_has_spoken_it_has_the_word() -> None:
    problem = pod_problem(make_pod(resource_claims=CLAIMS, scheduled=NO_NODE))
    assert problem is not None
    assert (problem.reason, problem.message) == ("Unschedulable", "0/3 nodes are available")


@pytest.mark.parametrize(
    "fields", [{"scheduled": ObservedCondition(status="True")}, {"node": "node-1"}], ids=["scheduled", "on a node"]
)
def test_claims_that_are_there_are_no_problem(fields: dict[str, Any]) -> None:
    assert pod_problem(make_pod(resource_claims=CLAIMS, **fields)) is None


def test_memory_is_named_as_the_cause_of_a_kill() -> None:
    problem = pod_problem(make_pod(container(terminated=True, exit_code=137, exit_reason="OOMKilled")))
    assert problem is not None
    assert problem.reason == "OOMKilled"
    assert "raise the limit" in problem.message


def test_a_fetch_that_fails_says_itself_why() -> None:
    words = "https://example.org/m.gguf answers 404"
    state = {"terminated": True, "exit_code": 1, "exit_message": words}

    problem = pod_problem(make_pod(container("fetch-model", **state), container("engine")))

    assert problem == PodProblem("FetchFailed", words)


def test_a_fetch_that_was_killed_is_told_as_any_other_container() -> None:
    problem = pod_problem(make_pod(container("fetch-model", terminated=True, exit_code=137, exit_reason="OOMKilled")))

    assert problem is not None
    assert problem.reason == "OOMKilled"


def test_a_sidecar_counts_as_much_as_the_main_container() -> None:
    pod = make_pod(container("engine", waiting_reason="ErrImagePull", waiting_message="x:1 not found"), container())
    problem = pod_problem(pod)
    assert problem is not None
    assert (problem.reason, problem.message) == ("ImagePullFailed", "ErrImagePull: x:1 not found")


def test_the_scheduler_is_quoted() -> None:
    problem = pod_problem(make_pod(scheduled=NO_NODE))
    assert problem is not None
    assert (problem.reason, problem.message) == ("Unschedulable", "0/3 nodes are available")


def test_the_worst_problem_is_the_one_that_no_waiting_cures() -> None:
    waits = make_pod(name="a", scheduled=NO_NODE)
    no_image = make_pod(container(waiting_reason="InvalidImageName"), name="b")
    problem = worst_problem([waits, no_image])
    assert problem is not None
    assert problem.reason == "ImagePullFailed"


def test_without_problems_there_is_no_worst_one() -> None:
    assert worst_problem([make_pod()]) is None

"""What a backend says about itself, for what may be seen of its pods."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from splai.api.model_backend import ModelBackendStatus
from splai.core.conditions import find_condition
from splai.core.observed import ObservedCondition, ObservedContainer, ObservedPod
from splai.core.plan import Event, ObjectReference, Refusal
from tests.unit.core.modelbackend.builders import (
    NO_GPU,
    NOW,
    decide,
    make_backend,
    make_deployment,
    make_pod,
    ready_pod,
    waiting_pod,
)

DEPLOYMENT = ObjectReference(api_version="apps/v1", kind="Deployment", namespace="team", name="smol")
OOM: dict[str, Any] = {
    "exit_code": 137,
    "exit_reason": "OOMKilled",
    "restarts": 3,
    "waiting_reason": "CrashLoopBackOff",
}


def said(status: ModelBackendStatus, condition_type: str) -> tuple[str, str]:
    condition = find_condition(status.conditions, condition_type)
    assert condition is not None
    return condition.status, condition.reason


def message(status: ModelBackendStatus, condition_type: str) -> str:
    condition = find_condition(status.conditions, condition_type)
    assert condition is not None
    return condition.message


def refusal(reason: str) -> Refusal:
    return Refusal(DEPLOYMENT, reason, f"the apiserver's words about {reason}")


@pytest.mark.parametrize(
    ("pods", "reason", "words"),
    [
        ([], "Creating", "the pods are being created"),
        ([make_pod(node="", waiting_reason="ContainerCreating")], "Starting", "images are pulled"),
        ([make_pod()], "Loading", "the engine is loading the model"),
        ([make_pod(started=True)], "NotAnswering", "fails its readiness probe"),
        ([make_pod(unschedulable_for=1)], "Unschedulable", NO_GPU),
        ([waiting_pod("ErrImagePull", "not found: x:1")], "ImagePullFailed", "ErrImagePull: not found: x:1"),
        ([waiting_pod("ImagePullBackOff", "Back-off")], "ImagePullFailed", "ImagePullBackOff: Back-off"),
        (
            [waiting_pod("CreateContainerConfigError", 'secret "token" not found')],
            "CreateContainerConfigError",
            'secret "token" not found',
        ),
        ([make_pod(**OOM)], "OOMKilled", "engine used more memory than its limit and was killed (3 restarts)"),
        (
            [waiting_pod("CrashLoopBackOff", exit_code=127, exit_reason="Error", restarts=1)],
            "CrashLoopBackOff",
            "engine ended with exit code 127, the command does not exist in the image (1 restart): "
            "see `kubectl logs -n team smol-1 -c engine --previous`",
        ),
        ([make_pod(terminated=True, exit_code=1)], "CrashLoopBackOff", "exit code 1 (0 restarts)"),
        ([make_pod(exit_code=1, restarts=5)], "CrashLoopBackOff", "exit code 1 (5 restarts)"),
        ([make_pod(exit_code=1, restarts=1)], "Loading", "the engine is loading the model"),
        ([waiting_pod("CrashLoopBackOff", exit_code=0, restarts=2)], "CrashLoopBackOff", "exit code 0 (2 restarts)"),
        ([ready_pod(old=True)], "RollingOut", "the previous revision still serves, with 1"),
        ([ready_pod(deletion=NOW)], "Creating", "the pods are being created"),
        ([make_pod(phase="Failed", terminated=True, exit_code=1)], "Creating", "the pods are being created"),
    ],
)
def test_not_ready_names_the_cause(pods: Sequence[ObservedPod], reason: str, words: str) -> None:
    status = decide(*pods).status
    assert said(status, "Ready") == ("False", reason)
    assert words in message(status, "Ready")
    assert status.message == message(status, "Ready")
    assert said(status, "Reconciling") == ("True", reason)
    assert said(status, "Stalled") == ("False", "NotStalled")


def test_while_weights_are_fetched_it_says_so() -> None:
    fetching = (
        ObservedContainer(name="fetch-model"),
        ObservedContainer(name="engine", waiting_reason="PodInitializing"),
    )

    status = decide(replace(make_pod(), containers=fetching)).status

    assert said(status, "Ready") == ("False", "Fetching")
    assert said(status, "ModelLoaded") == ("False", "Fetching")


STARTED = NOW - timedelta(minutes=1)
ON_HUB: dict[str, Any] = {"model": {"id": "m", "source": "hf://team/m"}, "engine": {"type": "vLLM"}}
LIBRARY: dict[str, Any] = {"model": {"id": "m", "source": "ollama://m"}, "engine": {"type": "Ollama"}}


class TestProgress:
    @pytest.mark.parametrize(
        ("spec", "engine", "words"),
        [
            ({}, {}, "loading the model, since 2026-05-01T11:59:00Z and until 2026-05-01T12:19:00Z at the latest"),
            (
                ON_HUB,
                {},
                "downloading and loading the model, since 2026-05-01T11:59:00Z and until 2026-05-01T12:59:00Z",
            ),
            (
                LIBRARY,
                {},
                "downloading and loading the model, since 2026-05-01T11:59:00Z and until 2026-05-01T12:29:00Z",
            ),
            ({}, {"restarts": 1, "exit_code": 137}, "loading the model again, since 2026-05-01T11:59:00Z"),
        ],
        ids=["a file that is there", "a repository of the Hub", "Ollama's library", "a second time"],
    )
    def test_it_says_what_an_engine_does_since_when_and_for_how_long(
        self, spec: dict[str, Any], engine: dict[str, Any], words: str
    ) -> None:
        backend = make_backend(**spec)

        status = decide(make_pod(backend=backend, running_since=STARTED, **engine), backend=backend).status

        assert said(status, "Ready") == ("False", "Loading")
        assert message(status, "Ready").startswith(f"the engine is {words}")

    def test_of_several_engines_it_is_the_one_that_began_first(self) -> None:
        pods = [
            make_pod("smol-1", running_since=NOW),
            make_pod("smol-2", running_since=STARTED),
            make_pod("smol-3", node="", waiting_reason="ContainerCreating"),
        ]

        assert "since 2026-05-01T11:59:00Z" in message(decide(*pods).status, "Ready")

    def test_it_says_which_of_several_fetches_runs_and_where_its_log_is(self) -> None:
        containers = (
            ObservedContainer(name="fetch-model", terminated=True, exit_code=0),
            ObservedContainer(name="fetch-adapter-0", running_since=STARTED),
            ObservedContainer(name="fetch-adapter-1", waiting_reason="PodInitializing"),
            ObservedContainer(name="engine", waiting_reason="PodInitializing"),
        )

        status = decide(replace(make_pod(), containers=containers)).status

        assert said(status, "Ready") == ("False", "Fetching")
        assert message(status, "Ready") == (
            "the weights are being fetched, since 2026-05-01T11:59:00Z: fetch-adapter-0 (2 of 3), "
            "see `kubectl logs -n team smol-1 -c fetch-adapter-0`"
        )

    def test_nothing_is_written_while_a_stage_lasts(self) -> None:
        pod = make_pod(running_since=STARTED)
        before = decide(pod).status
        backend = make_backend(status=before)

        after = decide(pod, backend=backend, now=NOW + timedelta(minutes=5)).status

        assert after == before


def test_the_ids_of_adapters_are_shown() -> None:
    adapters = [{"id": "sql", "source": "hf://team/sql"}]
    backend = make_backend(
        model={"id": "m", "aliases": ["n"], "source": "hf://team/m", "adapters": adapters}, engine={"type": "vLLM"}
    )

    assert decide(backend=backend).status.model_ids == ["m", "n", "sql"]


def test_of_several_causes_the_one_that_no_waiting_cures_is_named() -> None:
    status = decide(
        make_pod("a", unschedulable_for=1),
        waiting_pod("ErrImagePull", name="b"),
        backend=make_backend(replicas=2),
    ).status
    assert said(status, "Ready") == ("False", "ImagePullFailed")


def test_ready_when_the_current_revision_answers() -> None:
    status = decide(ready_pod()).status
    assert {c.type: (c.status, c.reason) for c in status.conditions} == {
        "Ready": ("True", "Ready"),
        "Reconciling": ("False", "Settled"),
        "Stalled": ("False", "NotStalled"),
        "Scheduled": ("True", "Scheduled"),
        "ModelLoaded": ("True", "Loaded"),
        "RolloutBlocked": ("False", "NoRollout"),
    }
    assert status.message == "1 of 1 replicas answer"


def test_the_status_says_where_the_model_is_and_what_it_is_called() -> None:
    status = decide(ready_pod()).status
    assert status.endpoint == "http://smol.team.svc"
    assert status.model_ids == ["llama3-8b-q4", "gpt-4o-mini"]
    assert (status.replicas, status.ready_replicas) == (1, 1)
    assert status.selector == "app.kubernetes.io/component=engine,splai.dev/modelbackend=smol"
    assert status.observed_generation == 3


def test_there_is_no_endpoint_before_something_answers() -> None:
    assert decide(make_pod()).status.endpoint is None


def test_one_of_three_answers_so_it_is_ready_and_still_reconciling() -> None:
    status = decide(ready_pod("a"), make_pod("b"), make_pod("c"), backend=make_backend(replicas=3)).status
    assert said(status, "Ready") == ("True", "Ready")
    assert status.message == "1 of 3 replicas answer"
    assert said(status, "Reconciling") == ("True", "Loading")


def test_an_old_revision_that_serves_does_not_make_the_backend_ready() -> None:
    status = decide(ready_pod("old", old=True), make_pod("new")).status
    assert said(status, "Ready") == ("False", "Loading")
    assert said(status, "RolloutBlocked") == ("False", "RollingOut")
    assert said(status, "ModelLoaded") == ("False", "Loading")
    assert status.endpoint == "http://smol.team.svc"
    assert (status.replicas, status.ready_replicas) == (2, 1)


def test_a_rollout_that_left_old_pods_behind_is_not_settled() -> None:
    status = decide(ready_pod("old", old=True), ready_pod("new")).status
    assert said(status, "Ready") == ("True", "Ready")
    assert said(status, "Reconciling") == ("True", "Removing")


@pytest.mark.parametrize("change", [{"generation": 2}, {"observed_generation": 0}])
def test_what_the_deployment_controller_has_not_seen_is_not_settled(change: dict[str, Any]) -> None:
    status = decide(ready_pod(), deployment=make_deployment(make_backend(), **change)).status
    assert said(status, "Reconciling") == ("True", "Applying")


def test_a_change_that_is_about_to_be_applied_is_not_settled() -> None:
    before = make_backend()
    changed = make_backend(rollout={"maxSurge": 2})
    status = decide(ready_pod(), backend=changed, deployment=make_deployment(before)).status
    assert said(status, "Ready") == ("True", "Ready")
    assert said(status, "Reconciling") == ("True", "Applying")


def test_the_model_is_loaded_once_the_startup_probe_has_passed() -> None:
    assert said(decide(make_pod(started=False)).status, "ModelLoaded") == ("False", "Loading")
    assert said(decide(make_pod(started=True)).status, "ModelLoaded") == ("True", "Loaded")


def test_scaled_to_zero_is_ready_without_a_model() -> None:
    backend = make_backend(replicas=0)
    status = decide(backend=backend).status
    assert said(status, "Ready") == ("True", "ScaledToZero")
    assert said(status, "ModelLoaded") == ("False", "ScaledToZero")
    assert said(status, "Scheduled") == ("True", "ScaledToZero")
    assert said(status, "Reconciling") == ("False", "Settled")
    assert status.endpoint is None


def test_scaled_to_zero_while_pods_leave_is_reconciling() -> None:
    backend = make_backend(replicas=0)
    assert said(decide(ready_pod(backend=backend), backend=backend).status, "Reconciling") == ("True", "Removing")


def test_scheduled_holds_the_schedulers_words() -> None:
    status = decide(ready_pod("a"), make_pod("b", unschedulable_for=1), backend=make_backend(replicas=2)).status
    assert said(status, "Scheduled") == ("False", "Unschedulable")
    assert message(status, "Scheduled") == NO_GPU


def test_scheduled_is_unknown_before_the_scheduler_has_spoken() -> None:
    assert said(decide().status, "Scheduled") == ("Unknown", "Waiting")


class TestDefaultConflict:
    DEFAULT = make_backend(routing={"default": True})

    def test_an_only_default_is_no_conflict(self) -> None:
        assert said(decide(ready_pod(), backend=self.DEFAULT).status, "DefaultConflict") == ("False", "OnlyDefault")

    def test_another_default_is_named_and_told_as_an_event(self) -> None:
        plan = decide(ready_pod(), backend=self.DEFAULT, other_defaults=("tiny",))

        words = "routing.default is also set on tiny: jobs that name no model wait until one default is left"
        assert said(plan.status, "DefaultConflict") == ("True", "SeveralDefaults")
        assert message(plan.status, "DefaultConflict") == words
        assert Event("Warning", "SeveralDefaults", words) in plan.events

    def test_it_is_nothing_to_any_other_backend(self) -> None:
        assert find_condition(decide(ready_pod()).status.conditions, "DefaultConflict") is None


class TestRolloutBlocked:
    def test_after_15_seconds_without_a_node_while_the_old_revision_serves(self) -> None:
        status = decide(ready_pod("old", old=True), make_pod("new", unschedulable_for=15)).status
        assert said(status, "RolloutBlocked") == ("True", "Unschedulable")
        assert message(status, "RolloutBlocked") == NO_GPU
        assert said(status, "Ready") == ("False", "RolloutBlocked")

    def test_not_before_and_the_plan_looks_again_in_time(self) -> None:
        plan = decide(ready_pod("old", old=True), make_pod("new", unschedulable_for=11))
        assert said(plan.status, "RolloutBlocked") == ("False", "RollingOut")
        assert plan.requeue_after == pytest.approx(4)

    def test_a_first_revision_without_a_node_is_no_rollout(self) -> None:
        plan = decide(make_pod(unschedulable_for=60))
        assert said(plan.status, "RolloutBlocked") == ("False", "NoRollout")
        assert plan.requeue_after is None

    def test_nothing_waits_for_time_once_it_is_blocked(self) -> None:
        plan = decide(ready_pod("old", old=True), make_pod("new", unschedulable_for=16))
        assert plan.requeue_after is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("refused", "reason"),
        [("NameConflict", "NameConflict"), ("Invalid", "InvalidSpec"), ("Forbidden", "Forbidden")],
    )
    def test_what_somebody_must_change_stalls(self, refused: str, reason: str) -> None:
        status = decide(deployment=None, service=None, refusals=[refusal(refused)]).status
        assert said(status, "Stalled") == ("True", reason)
        assert said(status, "Ready") == ("False", reason)
        assert said(status, "Reconciling") == ("False", "Stalled")
        assert status.message == f"the apiserver's words about {refused}"

    @pytest.mark.parametrize("reason", ["QuotaExceeded", "InternalError"])
    def test_a_full_quota_or_a_webhook_that_is_away_does_not_stall_because_that_may_pass(self, reason: str) -> None:
        status = decide(deployment=None, refusals=[refusal(reason)]).status
        assert said(status, "Stalled") == ("False", "NotStalled")
        assert said(status, "Ready") == ("False", reason)
        assert said(status, "Reconciling") == ("True", reason)

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ('pods "smol-1" is forbidden: exceeded quota: gpus', "QuotaExceeded"),
            ('pods "smol-1" is forbidden: violates PodSecurity "restricted:latest"', "Forbidden"),
        ],
    )
    def test_pods_that_the_apiserver_does_not_take_are_explained(self, words: str, reason: str) -> None:
        failure = ObservedCondition(status="True", reason="FailedCreate", message=words)
        deployment = make_deployment(make_backend(), conditions={"ReplicaFailure": failure})
        status = decide(deployment=deployment).status
        assert said(status, "Ready") == ("False", reason)
        assert message(status, "Ready") == words

    def test_a_refused_change_leaves_the_old_revision_serving(self) -> None:
        status = decide(ready_pod(old=True), refusals=[refusal("Invalid")]).status
        assert status.endpoint == "http://smol.team.svc"
        assert "the previous revision still serves, with 1" in status.message

    def test_without_a_service_of_its_own_a_backend_has_no_endpoint(self) -> None:
        assert decide(ready_pod(), service=None, refusals=[refusal("NameConflict")]).status.endpoint is None


class TestTransitionTimes:
    def test_stay_while_the_status_stays(self) -> None:
        before = decide(make_pod()).status
        later = NOW + timedelta(minutes=5)
        after = decide(waiting_pod("ErrImagePull"), backend=make_backend(status=before), now=later).status
        assert [c.last_transition_time for c in after.conditions] == [c.last_transition_time for c in before.conditions]

    def test_move_with_the_status(self) -> None:
        before = decide(make_pod()).status
        after = decide(ready_pod(), backend=make_backend(status=before), now=NOW + timedelta(minutes=5)).status
        ready = find_condition(after.conditions, "Ready")
        assert ready is not None
        assert ready.last_transition_time == "2026-05-01T12:05:00Z"


class TestEvents:
    @pytest.mark.parametrize(
        ("before", "after", "events"),
        [
            ([make_pod()], [ready_pod()], [Event("Normal", "Ready", "1 of 1 replicas answer")]),
            ([ready_pod()], [ready_pod()], []),
            ([], [make_pod()], []),
            (
                [make_pod()],
                [waiting_pod("ErrImagePull", "no such image")],
                [Event("Warning", "ImagePullFailed", "ErrImagePull: no such image")],
            ),
            ([waiting_pod("ErrImagePull", "a")], [waiting_pod("ImagePullBackOff", "b")], []),
            ([ready_pod()], [make_pod()], [Event("Warning", "NotReady", "the engine is loading the model")]),
            ([ready_pod()], [ready_pod(old=True)], []),
            (
                [ready_pod("old", old=True), make_pod("new", unschedulable_for=1)],
                [ready_pod("old", old=True), make_pod("new", unschedulable_for=20)],
                [Event("Warning", "RolloutBlocked", NO_GPU)],
            ),
        ],
    )
    def test_only_transitions_that_matter_make_one(
        self, before: Sequence[ObservedPod], after: Sequence[ObservedPod], events: list[Event]
    ) -> None:
        status = decide(*before).status
        assert list(decide(*after, backend=make_backend(status=status)).events) == events


def test_a_name_that_means_another_namespaces_model_is_told_and_the_backend_is_ready_all_the_same() -> None:
    decision = decide(ready_pod(), taken_names={"smol": "others"})

    assert said(decision.status, "Ready") == ("True", "ModelIDTaken")
    told = message(decision.status, "Ready")
    assert told == "1 of 1 replicas answer; at the gateway smol means the model of namespace others, ask for team/smol"
    assert Event("Warning", "ModelIDTaken", told) in decision.events


def test_a_backend_that_does_not_answer_has_other_worries_than_its_name() -> None:
    decision = decide(make_pod(), taken_names={"smol": "others"})

    assert said(decision.status, "Ready") == ("False", "Loading")

"""A change is the work of those whose decision looks at it, and of nobody else."""

from typing import Any, ClassVar

import pytest

from splai.api.model_backend import ModelBackendStatus
from splai.controller.caches import PACE_SECONDS, SETTLE_SECONDS, Caches
from splai.controller.queue import Key
from splai.kube.resource import INFERENCE_JOBS, JOBS, LEADER_WORKER_SETS, MODEL_BACKENDS, PODS
from tests.unit.controller.objects import child_job, inference_job, model_backend, pod

JOB, BACKEND = Key("InferenceJob", "n", "j"), Key("ModelBackend", "n", "b")
JOB_SETTLES, BACKEND_SETTLES = SETTLE_SECONDS["InferenceJob"], SETTLE_SECONDS["ModelBackend"]


class Recorded:
    """Caches, and what they enqueued since it was last asked."""

    def __init__(self) -> None:
        self._keys: list[tuple[Key, float]] = []
        self.caches = Caches(lambda key, delay: self._keys.append((key, delay)))

    def enqueued(self) -> list[tuple[Key, float]]:
        keys, self._keys[:] = list(self._keys), []
        return keys


@pytest.fixture
def recorded() -> Recorded:
    recorded = Recorded()
    recorded.caches.changed(INFERENCE_JOBS, inference_job())
    recorded.enqueued()
    return recorded


def test_a_new_resource_is_its_own_work_at_once(recorded: Recorded) -> None:
    recorded.caches.changed(INFERENCE_JOBS, inference_job("other"))

    assert recorded.enqueued() == [(Key("InferenceJob", "n", "other"), 0.0)]


def test_a_changed_spec_is_work_a_changed_status_is_our_own_doing(recorded: Recorded) -> None:
    recorded.caches.changed(INFERENCE_JOBS, inference_job(version=2, status={"phase": "Running"}))
    assert recorded.enqueued() == []

    recorded.caches.changed(INFERENCE_JOBS, inference_job(version=3, generation=2))
    assert recorded.enqueued() == [(JOB, 0.0)]


@pytest.mark.parametrize("label", ["kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"])
def test_a_label_that_names_a_queue_or_a_place_in_it_is_work_any_other_is_not(recorded: Recorded, label: str) -> None:
    """A change of labels does not move the generation."""
    for version, labels in enumerate([{"team": "a"}, {label: "one"}, {label: "two"}, {"team": "b"}, {}], 2):
        body = inference_job(version=version)
        body["metadata"]["labels"] = labels
        recorded.caches.changed(INFERENCE_JOBS, body)

    assert recorded.enqueued() == [(JOB, 0.0)] * 3


def test_what_is_known_already_is_no_news(recorded: Recorded) -> None:
    recorded.caches.changed(INFERENCE_JOBS, inference_job())

    assert recorded.enqueued() == []


def test_a_deleted_resource_is_work_so_that_it_is_forgotten(recorded: Recorded) -> None:
    recorded.caches.deleted(INFERENCE_JOBS, inference_job(version=2))

    assert recorded.enqueued() == [(JOB, 0.0)]
    assert recorded.caches.jobs.get("n", "j") is None


def test_a_child_is_its_owners_work_after_the_burst_has_settled(recorded: Recorded) -> None:
    recorded.caches.changed(JOBS, child_job())
    recorded.caches.changed(JOBS, child_job(version=2, active=1))
    recorded.caches.deleted(JOBS, child_job(version=3))

    assert recorded.enqueued() == [(JOB, JOB_SETTLES)] * 3


def test_a_child_of_somebody_unknown_is_nobodys_work(recorded: Recorded) -> None:
    recorded.caches.changed(JOBS, child_job(owner="uid-of-nobody"))

    assert recorded.enqueued() == []


def test_the_reply_to_a_write_of_what_is_not_watched_is_not_kept(recorded: Recorded) -> None:
    recorded.caches.absorb(LEADER_WORKER_SETS, child_job())

    assert recorded.enqueued() == []


def test_a_child_whose_owner_somebody_takes_away_is_the_work_of_the_one_that_it_had(recorded: Recorded) -> None:
    recorded.caches.changed(JOBS, child_job())
    recorded.enqueued()
    orphan = child_job(version=2)
    del orphan["metadata"]["ownerReferences"]

    recorded.caches.changed(JOBS, orphan)

    assert recorded.enqueued() == [(JOB, JOB_SETTLES)]


def test_the_reply_to_our_own_write_is_known_and_no_work(recorded: Recorded) -> None:
    recorded.caches.absorb(JOBS, child_job(version=5))
    recorded.caches.changed(JOBS, child_job(version=5))

    assert recorded.enqueued() == []
    assert [entry.name for entry in recorded.caches.child_jobs.indexed("uid-j")] == ["j-0"]


def test_a_pod_is_found_by_its_label(recorded: Recorded) -> None:
    recorded.caches.changed(PODS, pod("worker", inferencejob="j"))
    recorded.caches.changed(PODS, pod("engine", modelbackend="b"))
    recorded.caches.changed(PODS, pod("stray"))

    assert recorded.enqueued() == [(JOB, JOB_SETTLES), (BACKEND, BACKEND_SETTLES)]


def test_a_change_of_a_pod_that_no_decision_looks_at_is_no_work(recorded: Recorded) -> None:
    recorded.caches.changed(PODS, pod(inferencejob="j"))
    recorded.enqueued()

    recorded.caches.changed(PODS, pod(version=2, inferencejob="j", address="10.0.0.1"))
    assert recorded.enqueued() == []

    recorded.caches.changed(PODS, pod(version=3, inferencejob="j", phase="Running"))
    assert recorded.enqueued() == [(JOB, JOB_SETTLES)]


def test_a_backend_that_becomes_ready_wakes_the_jobs_that_wait_for_one(recorded: Recorded) -> None:
    recorded.caches.changed(MODEL_BACKENDS, model_backend())
    recorded.enqueued()

    recorded.caches.changed(MODEL_BACKENDS, model_backend(version=2, ready="True"))

    assert recorded.enqueued() == [(JOB, BACKEND_SETTLES)]


def test_a_status_of_ours_is_known_at_once_and_news_to_waiting_jobs_only(recorded: Recorded) -> None:
    recorded.caches.changed(MODEL_BACKENDS, model_backend())
    recorded.enqueued()
    written = model_backend(version=2, ready="True")
    status = ModelBackendStatus.model_validate(written["status"])

    recorded.caches.status_written(MODEL_BACKENDS, written["metadata"], status)
    assert recorded.enqueued() == [(JOB, BACKEND_SETTLES)]

    entry = recorded.caches.backends.get("n", "b")
    assert entry is not None
    assert (entry.version, entry.value.status) == (2, status)
    recorded.caches.changed(MODEL_BACKENDS, written)
    assert recorded.enqueued() == []


def test_a_backend_wakes_neither_jobs_of_another_nor_those_that_ended(recorded: Recorded) -> None:
    recorded.caches.changed(INFERENCE_JOBS, inference_job("other", status={"backend": "elsewhere"}))
    recorded.caches.changed(INFERENCE_JOBS, inference_job("over", status={"phase": "Completed", "backend": "b"}))
    recorded.caches.changed(INFERENCE_JOBS, inference_job("user", status={"phase": "Running", "backend": "b"}))
    recorded.enqueued()

    recorded.caches.changed(MODEL_BACKENDS, model_backend())

    assert {key for key, _ in recorded.enqueued()} == {BACKEND, JOB, Key("InferenceJob", "n", "user")}


class TestBackendsOfOtherNamespaces:
    HERE = Key("InferenceJob", "n", "j")
    SHARED: ClassVar[dict[str, Any]] = {"access": {"from": "Selected", "namespaces": ["n"]}}

    def test_an_open_one_wakes_jobs_that_wait_and_may_have_it(self, recorded: Recorded) -> None:
        recorded.caches.changed(INFERENCE_JOBS, inference_job("elsewhere", namespace="other"))
        recorded.enqueued()

        recorded.caches.changed(MODEL_BACKENDS, model_backend("p", namespace="platform", **self.SHARED))

        assert {key for key, _ in recorded.enqueued()} == {Key("ModelBackend", "platform", "p"), self.HERE}

    def test_a_closed_one_wakes_nobody(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("p", namespace="platform"))

        assert [key for key, _ in recorded.enqueued()] == [Key("ModelBackend", "platform", "p")]

    def test_one_that_closes_wakes_those_that_waited_for_it(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("p", namespace="platform", **self.SHARED))
        waits = inference_job(version=2, status={"backend": "platform/p"})
        recorded.caches.changed(INFERENCE_JOBS, waits)
        recorded.enqueued()

        recorded.caches.changed(MODEL_BACKENDS, model_backend("p", namespace="platform", version=2, generation=2))

        assert self.HERE in {key for key, _ in recorded.enqueued()}

    def names(self, recorded: Recorded, job: dict[str, object]) -> list[str]:
        recorded.caches.changed(INFERENCE_JOBS, job)
        entry = recorded.caches.jobs.get("n", "j")
        assert entry is not None
        return [it.metadata["name"] for it in recorded.caches.backends_for(entry.value)]

    def test_a_job_sees_its_own_namespaces_and_those_that_are_open_to_it(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("own"))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("own-shared", **self.SHARED))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("open", namespace="platform", access={"from": "All"}))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("selected", namespace="platform", **self.SHARED))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("closed", namespace="platform"))
        others = {"from": "Selected", "namespaces": ["m"]}
        recorded.caches.changed(MODEL_BACKENDS, model_backend("not-ours", namespace="platform", access=others))

        assert self.names(recorded, inference_job(version=2)) == ["own", "own-shared", "open", "selected"]

    def test_a_planned_job_keeps_one_that_was_closed_since(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("p", namespace="platform"))

        planned = inference_job(version=2, status={"backend": "platform/p", "specHash": "h"})
        assert self.names(recorded, planned) == ["p"]


class TestDefaults:
    DEFAULT: ClassVar[dict[str, Any]] = {"routing": {"default": True}}

    def test_of_two_each_is_told_of_the_other(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("one", **self.DEFAULT))
        recorded.enqueued()

        recorded.caches.changed(MODEL_BACKENDS, model_backend("two", **self.DEFAULT))

        keys = {key for key, _ in recorded.enqueued()}
        assert {Key("ModelBackend", "n", "one"), Key("ModelBackend", "n", "two")} <= keys
        two = recorded.caches.backends.get("n", "two")
        assert two is not None
        assert recorded.caches.other_defaults(two.value) == ("one",)

    def test_one_that_is_deleted_leaves_the_other_to_itself(self, recorded: Recorded) -> None:
        for name in ("one", "two"):
            recorded.caches.changed(MODEL_BACKENDS, model_backend(name, **self.DEFAULT))
        recorded.enqueued()

        recorded.caches.deleted(MODEL_BACKENDS, model_backend("two", version=2, **self.DEFAULT))

        assert Key("ModelBackend", "n", "one") in {key for key, _ in recorded.enqueued()}
        one = recorded.caches.backends.get("n", "one")
        assert one is not None
        assert recorded.caches.other_defaults(one.value) == ()

    def test_those_of_another_namespace_and_others_of_this_one_are_no_conflict(self, recorded: Recorded) -> None:
        recorded.caches.changed(MODEL_BACKENDS, model_backend("there", namespace="other", **self.DEFAULT))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("plain"))
        recorded.caches.changed(MODEL_BACKENDS, model_backend("one", **self.DEFAULT))

        one = recorded.caches.backends.get("n", "one")
        assert one is not None
        assert recorded.caches.other_defaults(one.value) == ()

    def test_a_change_of_defaults_wakes_jobs_that_name_no_model(self, recorded: Recorded) -> None:
        waits = inference_job(version=2, model=None, status={"backend": "one"})
        recorded.caches.changed(INFERENCE_JOBS, waits)
        recorded.caches.changed(MODEL_BACKENDS, model_backend("two", **self.DEFAULT))
        recorded.enqueued()

        recorded.caches.changed(MODEL_BACKENDS, model_backend("two", version=2, generation=2))

        assert JOB in {key for key, _ in recorded.enqueued()}


def test_managed_fields_of_our_kinds_are_not_kept_and_the_original_is_left_as_it_was(recorded: Recorded) -> None:
    body = inference_job("other")
    body["metadata"]["managedFields"] = [{"manager": "somebody"}]

    recorded.caches.changed(INFERENCE_JOBS, body)

    entry = recorded.caches.jobs.get("n", "other")
    assert entry is not None
    assert "managedFields" not in entry.value.metadata
    assert "managedFields" in body["metadata"]


def test_changed_policies_are_the_work_of_the_jobs_that_name_one(recorded: Recorded) -> None:
    """Those that are over may live for as long as their policy says; there are many, and they come one by one."""
    for name, phase in (("over", "Failed"), ("waits", "Pending"), ("done", "Completed"), ("old", "Completed")):
        body = inference_job(name, status={"phase": phase})
        body["spec"]["policy"] = "p"
        recorded.caches.changed(INFERENCE_JOBS, body)
    recorded.enqueued()

    recorded.caches.policies_changed()

    delays = {key.name: delay for key, delay in recorded.enqueued()}
    assert delays.pop("waits") == 0.0
    assert delays.keys() == {"over", "done", "old"}
    assert sorted(delays.values()) == [pytest.approx(number * PACE_SECONDS) for number in (1, 2, 3)]


def test_a_job_that_is_over_is_found_as_it_was_and_keeps_its_last_status(recorded: Recorded) -> None:
    body = inference_job("over", status={"phase": "Running", "conditions": []})
    body["spec"]["input"] = {"items": [{"a": [1, None, "é"]}]}
    recorded.caches.changed(INFERENCE_JOBS, body)
    running = recorded.caches.jobs.get("n", "over")
    assert running is not None

    status = running.value.status.model_copy(update={"phase": "Completed"})
    recorded.caches.status_written(INFERENCE_JOBS, {**body["metadata"], "resourceVersion": "2"}, status)

    over = recorded.caches.jobs.get("n", "over")
    assert over is not None
    assert over.value.spec == running.value.spec
    assert over.value.spec.model_fields_set == running.value.spec.model_fields_set
    assert over.value.status == status
    assert over.value.status.as_received() == status.as_received()
    assert recorded.caches.phases() == {"Pending": 1, "Completed": 1}


def test_jobs_are_counted_by_phase(recorded: Recorded) -> None:
    recorded.caches.changed(INFERENCE_JOBS, inference_job("other", status={"phase": "Running"}))

    assert recorded.caches.phases() == {"Pending": 1, "Running": 1}


class TestDecidedReplicas:
    """A number of replicas that was written is carried out at once, whoever tells first that it was."""

    @pytest.fixture
    def body(self, recorded: Recorded) -> dict[str, Any]:
        body = model_backend(autoscaling={"maxReplicas": 2})
        body["status"]["autoscaling"] = {"desiredReplicas": 0, "reason": "Idle"}
        recorded.caches.changed(MODEL_BACKENDS, body)
        recorded.enqueued()
        return body

    def write(self, recorded: Recorded, body: dict[str, Any], desired: int) -> None:
        decision = {"desiredReplicas": desired, "reason": "Requests"}
        status = ModelBackendStatus.model_validate({**body["status"], "autoscaling": decision})
        recorded.caches.status_written(MODEL_BACKENDS, {**body["metadata"], "resourceVersion": "2"}, status)

    def watch(self, recorded: Recorded, body: dict[str, Any], desired: int) -> None:
        decision = {"desiredReplicas": desired, "reason": "Requests"}
        metadata = {**body["metadata"], "resourceVersion": "2"}
        status = {**body["status"], "autoscaling": decision}
        recorded.caches.changed(MODEL_BACKENDS, {**body, "metadata": metadata, "status": status})

    def test_the_patchs_own_reply(self, recorded: Recorded, body: dict[str, Any]) -> None:
        self.write(recorded, body, 1)
        assert recorded.enqueued() == [(BACKEND, 0.0)]
        self.watch(recorded, body, 1)
        assert recorded.enqueued() == []

    def test_the_watch(self, recorded: Recorded, body: dict[str, Any]) -> None:
        self.watch(recorded, body, 1)
        assert recorded.enqueued() == [(BACKEND, 0.0)]
        self.write(recorded, body, 1)
        assert recorded.enqueued() == []

    def test_the_same_number_is_no_work(self, recorded: Recorded, body: dict[str, Any]) -> None:
        self.write(recorded, body, 0)
        assert recorded.enqueued() == []


def test_jobs_that_can_make_use_of_a_backend_are_those_that_run_or_wait() -> None:
    caches = Caches(lambda *_: None)
    for phase in ("Pending", "Queued", "Running", "Suspended", "Finalizing", "Completed"):
        caches.changed(INFERENCE_JOBS, inference_job(phase.lower(), status={"phase": phase}))

    assert sorted(job.metadata["name"] for job in caches.active_jobs()) == ["pending", "running"]

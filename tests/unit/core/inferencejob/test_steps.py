"""What is done next, told as situations: what is observed, and the actions that follow."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.core.inferencejob.clocks import earliest
from splai.core.inferencejob.snapshot import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, ConfigMapMissing, Unavailable
from splai.core.observed import CHILD_LABEL, ObservedCondition
from splai.core.plan import WriteWorkOrder
from tests.unit.core.builders import (
    NOW,
    canceled,
    make_backend,
    make_child,
    make_final,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_running_job,
    with_status,
)
from tests.unit.core.inferencejob.decisions import Observed, closing, condition, created, decide, events, steps, tell

GONE: Observed = {"deletion": NOW, "phase": "Running"}
SOON = NOW + timedelta(seconds=59)
LATE = NOW + timedelta(seconds=60)
RUNNING: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(),), "progress": make_progress(claimed=1)}


class TestBeginning:
    def test_a_valid_job_with_a_backend_is_planned_and_started_at_once(self) -> None:
        assert steps(make_job()) == ["write the work order of 3 records", "create triage-0"]

    @pytest.mark.parametrize(
        ("job", "observed"),
        [
            (make_job(), {"backends": ()}),
            (make_job(), {"backends": (make_backend(ready=False),)}),
            (make_job(records=0), {}),
            (make_job(cancel=True), {}),
            (make_job(deleting=True), {}),
            (make_job(prompt={"template": "{{ nothing }}"}), {}),
        ],
        ids=["no backend", "backend not ready", "empty input", "canceled", "being deleted", "bad template"],
    )
    def test_nothing_is_made_that_could_not_work(self, job: InferenceJob, observed: dict[str, Any]) -> None:
        assert steps(job, **observed) == []

    def test_a_missing_config_map_is_looked_for_again(self) -> None:
        job = make_job(input={"configMap": {"name": "tickets", "key": "lines"}})
        decision = decide(job, config_map=ConfigMapMissing("ConfigMap tickets does not exist"))
        assert (decision.actions, decision.requeue_after) == ((), 15.0)

    def test_waiting_for_a_backend_takes_no_timer(self) -> None:
        assert decide(make_job(), backends=()).requeue_after is None

    def test_a_job_that_is_planned_but_has_no_child_gets_it(self) -> None:
        assert steps(make_planned_job()) == ["create triage-0"]

    def test_shared_workers_call_the_service(self) -> None:
        (order, _) = decide(make_job()).actions
        assert isinstance(order, WriteWorkOrder)
        assert order.order.endpoint == "http://smol.team.svc"

    def test_dedicated_workers_call_the_engine_beside_them(self) -> None:
        (order, _) = decide(make_job(workers={"mode": "Dedicated"})).actions
        assert isinstance(order, WriteWorkOrder)
        assert order.order.endpoint == "http://127.0.0.1:8080"

    def test_there_are_no_more_workers_than_tasks(self) -> None:
        assert created(make_job(records=2, workers={"parallelism": 8}))["spec"]["parallelism"] == 2


class TestWorking:
    def test_a_child_that_works_is_left_alone(self) -> None:
        assert steps(make_running_job(), **RUNNING) == []

    def test_a_child_that_ended_early_is_followed_by_the_next_number(self) -> None:
        ended: Observed = {"child_jobs": (make_child(complete=True),), "progress": make_progress(committed=1)}
        assert steps(make_running_job(), **ended) == ["create triage-1"]

    def test_a_child_that_was_deleted_is_healed_with_the_next_number(self) -> None:
        assert steps(make_running_job(), progress=make_progress(committed=1)) == ["create triage-1"]

    def test_a_number_is_not_used_again_when_its_child_was_deleted_a_while_ago(self) -> None:
        job = make_running_job()
        waiting = decide(job, pods=(make_pod(**GONE),), progress=make_progress()).status
        assert steps(with_status(job, waiting), progress=make_progress()) == ["create triage-1"]

    def test_numbers_are_used_once_also_when_older_children_remain(self) -> None:
        job = make_running_job()
        seen = decide(job, child_jobs=(make_child(0, complete=True), make_child(1)), progress=make_progress()).status
        job = with_status(job, seen)
        after: Observed = {"child_jobs": (make_child(0, complete=True),), "progress": make_progress()}
        assert steps(job, **after) == ["create triage-2"]

    def test_the_next_child_waits_until_the_last_ones_pods_are_gone(self) -> None:
        leaving: Observed = {"pods": (make_pod(**GONE),), "progress": make_progress()}
        decision = decide(make_running_job(), at=SOON, **leaving)
        assert (decision.actions, decision.requeue_after) == ((), 1.0)
        assert steps(make_running_job(), at=LATE, **leaving) == ["create triage-1"]

    def test_the_next_child_waits_until_the_store_says_that_work_is_left(self) -> None:
        decision = decide(make_running_job(), progress=Unavailable("refused"))
        assert (decision.actions, decision.requeue_after) == ((), 5.0)

    def test_a_child_that_is_being_deleted_is_waited_for(self) -> None:
        assert steps(make_running_job(), **{**RUNNING, "child_jobs": (make_child(deletion=NOW),)}) == []

    def test_a_child_whose_only_pod_is_on_a_lost_node_is_deleted(self) -> None:
        lost: Observed = {**RUNNING, "pods": (make_pod(**GONE),)}
        assert steps(make_running_job(), at=SOON, **lost) == []
        assert steps(make_running_job(), at=LATE, **lost) == ["delete triage-0"]

    def test_a_lost_pod_is_no_matter_while_another_works(self) -> None:
        job = make_running_job(workers={"parallelism": 2})
        observed: Observed = {
            **RUNNING,
            "child_jobs": (make_child(parallelism=2),),
            "pods": (make_pod(0, **GONE), make_pod(1)),
        }
        assert steps(job, at=LATE, **observed) == []

    def test_the_lost_pod_of_an_earlier_child_is_none_of_the_present_ones(self) -> None:
        lost: Observed = {"child_jobs": (make_child(1),), "pods": (make_pod(**GONE),), "progress": make_progress()}
        assert steps(make_running_job(), at=LATE, **lost) == []

    def test_a_pod_that_is_asked_to_leave_before_it_ran_is_looked_at_when_it_is_overdue(self) -> None:
        leaving: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(deletion=NOW, phase="Pending"),)}
        assert decide(make_running_job(), at=SOON, **leaving).requeue_after == 1.0

    def test_pods_that_were_orphaned_by_hand_are_not_waited_for(self) -> None:
        """``kubectl delete job --cascade=orphan``: nobody tells them to end, and what they still commit counts."""
        orphaned: Observed = {"pods": (make_pod(owner_uid=None),), "progress": make_progress(committed=1)}
        assert steps(make_running_job(), **orphaned) == ["create triage-1"]
        assert steps(canceled(make_running_job()), **orphaned) == ["create triage-finish"]

    def test_pods_whose_deletion_has_not_reached_them_yet_are(self) -> None:
        leaving: Observed = {"pods": (make_pod(),), "progress": make_progress(committed=1)}
        assert steps(make_running_job(), **leaving) == []
        assert steps(canceled(make_running_job()), **leaving) == []

    def test_dedicated_workers_cannot_be_replaced_without_their_backend(self) -> None:
        job = make_running_job(workers={"mode": "Dedicated"})
        assert steps(job, backends=(), progress=make_progress()) == []
        assert steps(job, progress=make_progress()) == ["create triage-1"]

    def test_shared_workers_can(self) -> None:
        assert steps(make_running_job(), backends=(), progress=make_progress()) == ["create triage-1"]

    def test_nothing_is_created_once_the_job_is_being_deleted(self) -> None:
        assert steps(make_running_job(deleting=True), progress=make_progress()) == []

    def test_the_next_child_has_the_failures_that_are_left(self) -> None:
        job = make_running_job(backoffLimit=6)
        failed = decide(job, child_jobs=(make_child(failed=4),), progress=make_progress()).status
        job = with_status(job, failed)
        assert created(job, progress=make_progress())["spec"]["backoffLimit"] == 2

    def test_failures_of_children_that_are_gone_count_with_those_of_the_present_one(self) -> None:
        job = make_running_job(backoffLimit=6)
        failed = decide(job, child_jobs=(make_child(failed=4),), progress=make_progress()).status
        job = with_status(job, failed)
        labels = created(job, progress=make_progress())["metadata"]["labels"]

        again: Observed = {"child_jobs": (make_child(1, labels=labels, failed=1),), "progress": make_progress()}
        decision = decide(job, **again)
        assert decision.status.workers.failures == 5
        assert events(decision) == ["WorkersReplaced", "WorkerFailed"]
        assert created(with_status(job, decision.status), progress=make_progress())["spec"]["backoffLimit"] == 1

        lost = with_status(job, InferenceJobStatus(spec_hash="h", total=3))
        assert decide(lost, **again).status.workers.failures == 5, "also when the status was lost"

        last: Observed = {"child_jobs": (make_child(1, labels=labels, failed=3),), "progress": make_progress()}
        assert condition(decide(job, **last).status, "Ready") == (
            *("True", "BackoffLimitExceeded"),
            "7 worker pods failed, backoffLimit is 6",
        )


class TestChangesBeforeTheFirstStart:
    """What a Job that exists cannot follow, its successor can, as long as nothing is lost by it."""

    QUEUED = make_planned_job(labels={QUEUE_LABEL: "gpu", QUEUE_PRIORITY_LABEL: "high"})
    HELD = make_child(suspended=True, labels=created(QUEUED)["metadata"]["labels"])

    def test_another_priority_takes_another_child(self) -> None:
        labels = created(make_planned_job(priority="batch"))["metadata"]["labels"]
        child = make_child(labels=labels)
        assert steps(make_planned_job(priority="batch"), child_jobs=(child,)) == []
        assert steps(make_planned_job(priority="interactive"), child_jobs=(child,)) == ["delete triage-0"]

    def test_a_worker_that_has_run_keeps_its_priority(self) -> None:
        job = make_running_job()
        job = job.model_copy(update={"spec": job.spec.model_copy(update={"priority": "batch"})})
        assert steps(job, **RUNNING) == []

    def test_a_long_name_of_a_priority_class_is_no_change(self) -> None:
        job = make_planned_job(priority="p" * 62 + "." + "p" * 100)
        labels = created(job)["metadata"]["labels"]
        assert max(map(len, labels.values())) <= 63
        assert steps(job, child_jobs=(make_child(labels=labels),)) == []

    def test_a_child_in_its_queue_is_left_there(self) -> None:
        assert steps(self.QUEUED, child_jobs=(self.HELD,)) == []

    @pytest.mark.parametrize(
        "labels",
        [
            {QUEUE_LABEL: "other", QUEUE_PRIORITY_LABEL: "high"},
            {QUEUE_LABEL: "gpu", QUEUE_PRIORITY_LABEL: "low"},
            {QUEUE_LABEL: "gpu"},
            {},
        ],
    )
    def test_another_queue_or_priority_in_it_takes_another_child(self, labels: dict[str, str]) -> None:
        assert steps(make_planned_job(labels=labels), child_jobs=(self.HELD,)) == ["delete triage-0"]

    def test_a_queue_that_kueue_chose_by_default_is_no_change(self) -> None:
        """In a namespace with a LocalQueue of that name Kueue gives the label to every Job that has none."""
        labels = created(make_planned_job())["metadata"]["labels"]
        defaulted = make_child(suspended=True, labels={**labels, QUEUE_LABEL: "default"})
        assert steps(make_planned_job(), child_jobs=(defaulted,)) == []

    def test_a_priority_in_a_queue_matters_only_with_a_queue(self) -> None:
        child = make_child(labels=created(make_planned_job())["metadata"]["labels"])
        assert steps(make_planned_job(labels={QUEUE_PRIORITY_LABEL: "low"}), child_jobs=(child,)) == []


class TestScaling:
    @pytest.mark.parametrize(("parallelism", "want"), [(2, 2), (9, 3)])
    def test_a_child_follows_the_spec_up_to_its_tasks(self, parallelism: int, want: int) -> None:
        job = make_running_job(workers={"parallelism": parallelism})
        assert steps(job, **RUNNING) == [f"scale triage-0 to {want}"]

    def test_progress_is_read_on_meanwhile(self) -> None:
        job = make_running_job(workers={"parallelism": 2})
        assert decide(job, **RUNNING).poll_after == 2.0

    def test_it_is_left_alone_once_an_index_succeeded(self) -> None:
        job = make_running_job(workers={"parallelism": 2})
        assert steps(job, **{**RUNNING, "child_jobs": (make_child(succeeded=1),)}) == []

    def test_it_is_left_alone_when_a_queue_admitted_it(self) -> None:
        """Kueue would take its quota away and let it wait again."""
        job = make_running_job(workers={"parallelism": 2}, labels={QUEUE_LABEL: "gpu"})
        admitted = make_child(labels={CHILD_LABEL: "0", QUEUE_LABEL: "gpu"})
        assert steps(job, **{**RUNNING, "child_jobs": (admitted,)}) == []

    def test_a_change_of_size_is_told(self) -> None:
        decision = decide(make_running_job(workers={"parallelism": 2}), **RUNNING)
        assert [(it.reason, it.message) for it in decision.action_events] == [
            ("WorkersScaled", "Job triage-0 goes on with 2 workers")
        ]

    def test_the_next_child_has_the_size_that_is_wanted_now(self) -> None:
        job = make_running_job(workers={"parallelism": 2})
        assert created(job, progress=make_progress())["spec"]["completions"] == 2


class TestFinalizing:
    ALL: ClassVar[Observed] = {"progress": make_progress(committed=3)}

    def test_a_worker_that_runs_writes_the_output(self) -> None:
        assert steps(make_running_job(), child_jobs=(make_child(),), pods=(make_pod(),), **self.ALL) == []

    def test_without_one_a_finish_job_does(self) -> None:
        job = make_running_job()
        ended: Observed = {"child_jobs": (make_child(complete=True),), **self.ALL}
        assert steps(job, **ended) == ["create triage-finish"]
        env: Observed = {
            it["name"]: it.get("value")
            for it in created(job, **ended)["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        assert (env["SPLAI_CLOSING_CODE"], env["SPLAI_CLOSING_MESSAGE"]) == ("", "")

    def test_no_worker_waits_for_a_gpu_only_to_write_the_output(self) -> None:
        waiting: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(unschedulable=True),)}
        assert steps(make_running_job(), **waiting, **self.ALL) == ["delete triage-0"]

    def test_a_finish_job_that_works_is_left_alone(self) -> None:
        seen: Observed = {"child_jobs": (make_child(complete=True), make_child("finish"))}
        assert steps(make_running_job(), **seen, **self.ALL) == []

    def test_a_finish_job_that_gave_up_is_made_again_after_a_minute(self) -> None:
        gave_up: Observed = {
            "child_jobs": (make_child(complete=True), make_child("finish", failure="BackoffLimitExceeded"))
        }
        decision = decide(make_running_job(), at=SOON, **gave_up, **self.ALL)
        assert (decision.actions, decision.requeue_after) == ((), 1.0)
        assert steps(make_running_job(), at=LATE, **gave_up, **self.ALL) == ["delete triage-finish"]

    def test_a_finish_job_whose_pod_is_on_a_lost_node_is_made_again(self) -> None:
        job = make_running_job()
        lost = make_pod(child="finish", **GONE)
        seen: Observed = {"child_jobs": (make_child("finish"),), "pods": (lost,), **self.ALL}
        decision = decide(job, at=SOON, **seen)
        assert (decision.actions, decision.requeue_after) == ((), 1.0)
        assert steps(job, at=LATE, **seen) == ["delete triage-finish"]
        assert steps(job, at=LATE, pods=(lost,), **self.ALL) == ["create triage-finish"]
        successor = make_child("finish", uid="uid-of-the-next", created=LATE)
        assert steps(job, at=LATE, child_jobs=(successor,), pods=(lost,), **self.ALL) == []

    def test_what_an_earlier_finish_job_left_is_no_pod_of_the_present_one(self) -> None:
        successor = make_child("finish", uid="uid-of-the-next", created=LATE)
        lost = make_pod(child="finish", phase="Pending", deletion=NOW)
        seen: Observed = {"child_jobs": (successor,), "pods": (lost,), **self.ALL}
        assert decide(make_running_job(), at=LATE, **seen).poll_after == 30.0
        refused = decide(make_running_job(), at=LATE + timedelta(seconds=30), creation_trouble="exceeded quota", **seen)
        assert condition(refused.status, "WorkersReady")[1] == "PodsNotCreated"

    def test_the_last_child_stays_when_the_job_is_completed(self) -> None:
        done: Observed = {
            "child_jobs": (make_child(complete=True),),
            "progress": make_progress(committed=3, final=make_final()),
        }
        assert steps(make_running_job(), **done) == []

    def test_workers_that_still_wait_for_a_node_are_let_go(self) -> None:
        job = make_running_job(workers={"parallelism": 2})
        done: Observed = {
            "child_jobs": (make_child(parallelism=2),),
            "pods": (make_pod(0, phase="Succeeded"), make_pod(1, unschedulable=True)),
            "progress": make_progress(committed=3, final=make_final()),
        }
        decision = decide(job, **done)
        assert [tell(action) for action in decision.actions] == ["delete triage-0"]
        over = with_status(job, decision.status)
        assert steps(over, **done) == ["delete triage-0"]


class TestEndingEarly:
    def test_cancel_first_deletes_the_child(self) -> None:
        assert steps(canceled(make_running_job()), **RUNNING) == ["delete triage-0"]

    def test_then_waits_until_its_pods_are_gone(self) -> None:
        leaving: Observed = {"pods": (make_pod(**GONE),), "progress": make_progress()}
        assert steps(canceled(make_running_job()), at=SOON, **leaving) == []

    def test_then_has_what_is_done_written_out(self) -> None:
        body = created(canceled(make_running_job()), progress=make_progress(committed=1))
        assert body["metadata"]["name"] == "triage-finish"
        assert closing(body) == ("batch_cancelled", "the job was canceled before this record was answered")

    def test_a_canceled_job_with_every_task_committed_lets_its_worker_finish(self) -> None:
        seen: Observed = {**RUNNING, "progress": make_progress(committed=3)}
        assert steps(canceled(make_running_job()), **seen) == []

    def test_too_many_failures_have_what_is_done_written_out(self) -> None:
        failed: Observed = {
            "child_jobs": (make_child(failure="BackoffLimitExceeded", failed=7),),
            "pods": (make_pod(phase="Failed"),),
            "progress": make_progress(committed=1),
        }
        assert steps(make_running_job(), **failed) == ["create triage-finish"]

    def test_the_failed_child_stays_as_evidence_but_its_loss_changes_nothing(self) -> None:
        job = make_running_job()
        failed: Observed = {
            "child_jobs": (make_child(failure="BackoffLimitExceeded", failed=7),),
            "progress": make_progress(),
        }
        job = job.model_copy(update={"status": decide(job, **failed).status})
        assert steps(job, progress=make_progress()) == ["create triage-finish"]

    def test_a_job_that_never_reaches_its_goal_ends(self) -> None:
        """Children that complete without doing the work count as well, or they would follow each other for ever."""
        children = tuple(make_child(number, complete=True) for number in range(3))
        job = make_running_job(backoffLimit=1)
        assert steps(job, child_jobs=children[:2], progress=make_progress()) == ["create triage-2"]
        assert steps(job, child_jobs=children, progress=make_progress()) == ["create triage-finish"]


class TestLookingAgain:
    @pytest.mark.parametrize(("age", "want"), [(0, 2.0), (60, 2.0), (300, 10.0), (900, 30.0), (90_000, 30.0)])
    def test_progress_is_read_less_often_as_a_job_grows_old(self, age: int, want: float) -> None:
        assert decide(make_running_job(), at=NOW + timedelta(seconds=age), **RUNNING).poll_after == want

    def test_an_artifact_server_that_is_away_is_asked_again_soon(self) -> None:
        assert decide(make_running_job(), **{**RUNNING, "progress": Unavailable("refused")}).requeue_after == 5.0

    def test_a_full_store_is_asked_again_also_when_no_pod_runs(self) -> None:
        full = make_progress(committed=1).model_copy(update={"store_full": True})
        waiting: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(unschedulable=True),)}
        assert decide(make_running_job(), **waiting, progress=full).requeue_after == 60.0

    def test_a_pod_that_waits_for_a_node_takes_no_timer(self) -> None:
        waiting: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(unschedulable=True),)}
        assert decide(make_planned_job(), **waiting).requeue_after is None

    @pytest.mark.parametrize(("labels", "want"), [({}, 30.0), ({QUEUE_LABEL: "gpu"}, 1.0)])
    def test_a_new_child_is_looked_at_although_no_event_may_come(self, labels: dict[str, str], want: float) -> None:
        decision = decide(make_job(labels=labels))
        assert earliest(decision.requeue_after, decision.poll_after) == want

    @pytest.mark.parametrize(("age", "want"), [(10, 20.0), (30, None), (3600, None)])
    def test_a_job_without_pods_is_looked_at_once_when_they_are_overdue(self, age: int, want: float | None) -> None:
        overdue = decide(make_planned_job(), at=NOW + timedelta(seconds=age), child_jobs=(make_child(),))
        assert (overdue.requeue_after, overdue.poll_after) == (None, want)

    def test_the_pods_of_a_job_that_was_admitted_late_are_not_overdue_at_once(self) -> None:
        resumed = ObservedCondition(status="False", since=NOW + timedelta(hours=1))
        seen: Observed = {"child_jobs": (make_child(suspension=resumed),), "creation_trouble": "exceeded quota: pods"}
        just_admitted = decide(make_planned_job(), at=NOW + timedelta(hours=1, seconds=10), **seen)
        assert condition(just_admitted.status, "WorkersReady")[1] == "Creating"
        assert just_admitted.poll_after == 20.0
        later = decide(make_planned_job(), at=NOW + timedelta(hours=1, seconds=30), **seen)
        assert condition(later.status, "WorkersReady")[1] == "PodsNotCreated"

    def test_a_job_that_is_over_is_not_looked_at_again(self) -> None:
        done: Observed = {**RUNNING, "progress": make_progress(committed=3, final=make_final())}
        assert decide(make_running_job(), **done).requeue_after is None

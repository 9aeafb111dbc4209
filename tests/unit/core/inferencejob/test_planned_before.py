"""A plan stands whose attempt got no further, whatever the next attempt reads or finds."""

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.snapshot import ConfigMapText, needs_progress
from splai.core.plan import ALREADY_PLANNED, ObjectReference, Refusal
from tests.unit.core.builders import make_backend, make_job, make_progress, with_status
from tests.unit.core.inferencejob.decisions import Observed, condition, decide, steps

JOB = make_job(input={"configMap": {"name": "tickets", "key": "lines"}, "format": "text"})
FIVE_NOW: Observed = {"config_map": ConfigMapText("a\nb\nc\nd\ne\n")}
REFERENCE = ObjectReference(api_version="splai.dev/v1alpha1", kind="InferenceJob", namespace="team", name="triage")
REFUSED: Observed = {"refusals": (Refusal(REFERENCE, ALREADY_PLANNED, "that stands"),)}
THREE_THEN: Observed = {"progress": make_progress(3)}


def refused_job() -> InferenceJob:
    return with_status(JOB, decide(JOB, **FIVE_NOW, **REFUSED).status)


def test_a_job_that_cannot_be_planned_again_says_so_and_is_not_planned_by_that() -> None:
    job = refused_job()

    assert steps(JOB, **FIVE_NOW)[0] == "write the work order of 5 records"
    assert (job.status.phase, job.status.spec_hash) == ("Pending", None)
    assert condition(job.status, "WorkersReady")[:2] == ("False", "AlreadyPlanned")


def test_then_the_ledger_is_asked_and_believed() -> None:
    job = refused_job()
    assert not needs_progress(JOB, (), ())
    assert needs_progress(job, (), ())

    status = decide(job, **FIVE_NOW, **THREE_THEN).status

    assert steps(job, **FIVE_NOW, **THREE_THEN) == ["create triage-0"]
    assert (status.total, status.request_counts.total, len(status.tasks)) == (3, 3, 3)
    assert status.spec_hash == "of-the-plan"
    assert condition(status, "Validated") == ("True", "Valid", "3 records in 3 tasks")
    assert not needs_progress(with_status(job, status), (), ())


def test_the_backend_is_the_one_that_it_was_planned_for() -> None:
    other = make_backend("other")
    then: Observed = {"progress": make_progress(3).model_copy(update={"backend": "smol"})}
    job = refused_job()

    assert decide(job, backends=(other, make_backend(ready=False)), **then).status.backend == "smol"

    gone = decide(job, backends=(other,), **then).status
    assert gone.backend == "smol"
    assert condition(gone, "BackendReady")[2].startswith(
        "ModelBackend smol of namespace team, which the work was planned"
    )


def test_what_was_counted_of_an_input_before_it_was_planned_may_become_less() -> None:
    """A ConfigMap may change while there is no backend yet."""
    waiting = with_status(JOB, decide(JOB, **FIVE_NOW, backends=()).status)
    assert waiting.status.total == 5

    fewer = decide(waiting, config_map=ConfigMapText("a\n")).status

    assert (fewer.total, fewer.request_counts.total, len(fewer.tasks)) == (1, 1, 1)

"""A job that is over goes when its time to live ends, and what is worth knowing about it stays."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.history import archive, describe_source
from splai.core.plan import Archive, Refusal
from tests.unit.core.builders import (
    NOW,
    UID,
    canceled,
    make_child,
    make_final,
    make_job,
    make_progress,
    make_running_job,
    with_status,
)
from tests.unit.core.inferencejob.decisions import decide, steps

MINUTE = timedelta(seconds=60)


def make_completed_job(**spec: Any) -> InferenceJob:
    """Completed at NOW."""
    job = make_running_job(**spec)
    return with_status(job, decide(job, progress=make_progress(committed=3, final=make_final())).status)


def test_it_is_archived_when_its_time_is_over() -> None:
    job = make_completed_job(ttlSecondsAfterFinished=60)
    before = decide(job, at=NOW + MINUTE - timedelta(seconds=1))
    assert (before.actions, before.requeue_after) == ((), 1.0)
    assert steps(job, at=NOW + MINUTE) == ["archive triage"]
    assert [event.reason for event in decide(job, at=NOW + MINUTE).action_events] == ["Archived"]


def test_the_end_of_its_time_is_known_as_soon_as_it_is_over() -> None:
    job = make_running_job(ttlSecondsAfterFinished=60)
    decision = decide(job, progress=make_progress(committed=3, final=make_final()))
    assert (decision.requeue_after, decision.status.expires_at) == (60.0, "2026-05-01T12:01:00Z")


def test_without_a_time_to_live_it_stays() -> None:
    job = make_completed_job()
    decision = decide(job, at=NOW + timedelta(days=400))
    assert (decision.actions, decision.requeue_after, decision.status.expires_at) == ((), None, None)


def test_the_time_may_be_set_when_it_is_over() -> None:
    job = make_completed_job()
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"ttl_seconds_after_finished": 90})})
    decision = decide(job)
    assert (decision.requeue_after, decision.status.expires_at) == (90.0, "2026-05-01T12:01:30Z")


def test_a_canceled_job_goes_as_well() -> None:
    job = canceled(make_job(ttlSecondsAfterFinished=60))
    job = with_status(job, decide(job).status)
    assert steps(job, at=NOW + MINUTE) == ["archive triage"]


def test_a_job_that_runs_never_does() -> None:
    job = make_running_job(ttlSecondsAfterFinished=60)
    assert steps(job, at=NOW + timedelta(days=1), child_jobs=(make_child(),), progress=make_progress()) == []


def test_one_that_outstays_its_time_tells_what_keeps_it() -> None:
    """Its conditions tell how it ended, for ever."""
    job = make_completed_job(ttlSecondsAfterFinished=60)
    (action,) = decide(job, at=NOW + MINUTE).actions
    assert isinstance(action, Archive)
    refused = (Refusal(action.reference, "HistoryUnavailable", "the history takes no record: PostgreSQL: OSError"),)

    decision = decide(job, at=NOW + MINUTE, refusals=refused)

    assert (decision.status, decision.actions) == (job.status, ())
    (event,) = decision.action_events
    assert (event.type, event.reason) == ("Warning", "HistoryUnavailable")
    assert event.message == "InferenceJob team/triage stays: the history takes no record: PostgreSQL: OSError"


def test_the_record_says_who_it_was_and_how_it_ended() -> None:
    job = make_completed_job(labels={"team": "a"}, priority="batch", parameters={"max_tokens": 9})
    action = archive(job, NOW + MINUTE)
    record = action.record
    assert (action.reference.kind, action.reference.name, action.reference.uid) == ("InferenceJob", "triage", UID)
    assert (record.namespace, record.name, record.uid, record.labels) == ("team", "triage", UID, {"team": "a"})
    assert (record.created_at, record.archived_at) == ("2026-05-01T12:00:00Z", "2026-05-01T12:01:00Z")
    assert (record.type, record.model, record.priority) == ("chat", "llama3-8b-q4", "batch")
    assert (record.input, record.parameters) == ("items", {"max_tokens": 9})
    assert (record.status.phase, record.status.succeeded, record.status.tasks) == ("Completed", 3, [])


def test_the_record_holds_no_prompt_and_no_record() -> None:
    parameters = {"instructions": "secret", "stop": ["secret"], "tools": [{"name": "secret"}]}
    job = make_completed_job(prompt={"template": "secret {{ text }}", "system": "secret"}, parameters=parameters)
    text = archive(job, NOW).record.model_dump_json()
    assert "secret" not in text
    assert "ticket" not in text


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ({"text": "private"}, "text"),
        ({"items": ["private"]}, "items"),
        ({"configMap": {"name": "tickets", "key": "lines"}}, "configMap tickets/lines"),
        ({"persistentVolumeClaim": {"claimName": "data", "path": "a/b.csv"}}, "persistentVolumeClaim data/a/b.csv"),
        ({"s3": {"uri": "s3://bucket/key.jsonl"}}, "s3 s3://bucket/key.jsonl"),
        ({"http": {"url": "https://host/a.jsonl?signature=private#x"}}, "http https://host/a.jsonl"),
        ({"http": {"url": "http://[no-host?signature=private"}}, "http http://[no-host"),
        ({"huggingFace": {"dataset": "org/set"}}, "huggingFace org/set"),
        ({"failedOf": {"name": "earlier"}}, "failedOf earlier"),
    ],
)
def test_a_source_is_named_without_what_it_holds(source: dict[str, Any], want: str) -> None:
    assert describe_source(make_job(input=source).spec.input) == want

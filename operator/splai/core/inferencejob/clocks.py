"""The moments that end something: the completion window, the deadline of the workers, the time to live."""

from datetime import datetime, timedelta

from splai.api.base import parse_time
from splai.api.inference_job import InferenceJob, InferenceJobStatus


def window_end(job: InferenceJob) -> datetime | None:
    """When the completion window closes; it opens with the resource, whatever the job waits for."""
    created = job.metadata.get("creationTimestamp")
    return parse_time(created) + job.spec.window if created and job.spec.window is not None else None


def deadline(job: InferenceJob, started: str | None) -> datetime | None:
    """When workers that run since ``started`` have done so for as long as they may."""
    seconds = job.spec.active_deadline_seconds
    return parse_time(started) + timedelta(seconds=seconds) if started and seconds is not None else None


def retirement(job: InferenceJob, completed: str | None) -> datetime | None:
    """When a job that was over at ``completed`` has been so for its time to live."""
    seconds = job.spec.ttl_seconds_after_finished
    return parse_time(completed) + timedelta(seconds=seconds) if completed and seconds is not None else None


def expiry(job: InferenceJob, completed: str | None) -> datetime | None:
    """What the user is told of these: the end of the window, or once the job is over that of the resource."""
    return retirement(job, completed) if completed else window_end(job)


def next_moment(job: InferenceJob, status: InferenceJobStatus, now: datetime) -> float | None:
    """Seconds until the next of them, for a job whose status is ``status`` now."""
    if status.completion_time:
        moments = [retirement(job, status.completion_time)]
    else:
        moments = [window_end(job), deadline(job, status.start_time)]
    return min(((moment - now).total_seconds() for moment in moments if moment and moment > now), default=None)


def earliest(*moments: float | None) -> float | None:
    """Of several numbers of seconds the least, of those that are known."""
    return min((moment for moment in moments if moment is not None), default=None)

"""Records of archived jobs."""

from typing import Any

from splai.api.history import HistoryRecord
from splai.api.inference_job import InferenceJobStatus, OutputLocation, Usage


def archived_job(uid: str = "uid-1", *, archived_at: str = "2026-01-02T00:00:00Z", **changes: Any) -> HistoryRecord:
    """A job that completed with two of three records answered."""
    status = InferenceJobStatus(
        phase="Completed",
        message="2 of 3 records were answered",
        backend="llama3-8b",
        total=3,
        succeeded=2,
        failed=1,
        usage=Usage(prompt_tokens=10, completion_tokens=20, total_tokens=30),
        output=OutputLocation(uri="s3://bucket/triage/output.jsonl", bytes=512),
        start_time="2026-01-01T00:01:00Z",
        completion_time="2026-01-01T00:02:00Z",
    )
    fields: dict[str, Any] = {
        "namespace": "team-a",
        "name": "triage",
        "uid": uid,
        "labels": {"team": "support"},
        "created_at": "2026-01-01T00:00:00Z",
        "archived_at": archived_at,
        "type": "chat",
        "model": "llama3-8b-q4",
        "policy": "enterprise-default",
        "priority": "batch",
        "input": "s3 s3://bucket/tickets.jsonl",
        "parameters": {"max_tokens": 64},
        "status": status,
    }
    return HistoryRecord(**{**fields, **changes})

"""What is kept of a job after its resource is gone."""

from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel
from splai.api.inference_job import InferenceJobStatus


class HistoryRecord(APIModel):
    """An archived job: who it was, what was asked for in outline, and how it ended; never a prompt or an answer."""

    namespace: str
    name: str
    uid: str
    labels: dict[str, str] = {}
    created_at: Annotated[str, Field(description="creationTimestamp of the resource.")]
    archived_at: str
    type: str
    model: str | None = None
    policy: str | None = None
    priority: str | None = None
    input: Annotated[str, Field(description="Kind of the source, e.g. s3, and its URI where it has one.")]
    parameters: Annotated[
        dict[str, float | int | bool], Field(description="Those that are numbers: a text may be a prompt.")
    ] = {}
    status: Annotated[InferenceJobStatus, Field(description="The last one, without its tasks.")]

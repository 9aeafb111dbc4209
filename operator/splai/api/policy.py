"""Policies: named defaults and limits for InferenceJobs, from the operator's configuration."""

from typing import Annotated

from pydantic import Field

from splai.api.base import APIModel, Duration, ObjectName
from splai.api.inference_job import FailurePolicy, Retry
from splai.api.model_backend import ModelID


class PolicyDefaults(APIModel):
    """What a job gets where its spec says nothing."""

    priority: ObjectName | None = None
    parallelism: Annotated[int | None, Field(ge=1, le=1000)] = None
    concurrency: Annotated[int | None, Field(ge=1, le=1024)] = None
    retry: Retry | None = None
    failure_policy: FailurePolicy | None = None
    completion_window: Duration | None = None
    active_deadline_seconds: Annotated[int | None, Field(ge=1)] = None
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=60)] = None


class PolicyLimits(APIModel):
    """What a job may not exceed; it is Failed with PolicyViolation if it does."""

    max_records: Annotated[int | None, Field(ge=1)] = None
    max_parallelism: Annotated[int | None, Field(ge=1)] = None
    max_concurrency: Annotated[int | None, Field(ge=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, description="max_tokens of the parameters or of a record.")] = None
    models: Annotated[list[ModelID] | None, Field(description="Ids or aliases that may be asked for.")] = None


class Policy(APIModel):
    """One policy."""

    model: Annotated[
        ModelID | None,
        Field(description="For jobs that name neither model nor backendRef; without it their default backend."),
    ] = None
    defaults: PolicyDefaults = PolicyDefaults()
    limits: PolicyLimits = PolicyLimits()

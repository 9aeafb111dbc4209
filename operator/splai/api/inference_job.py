"""InferenceJob: a batch of records, the model that answers them, and the state of every task."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.base import (
    APIModel,
    Duration,
    NumberOrShare,
    ObjectName,
    immutable,
    neither_added_nor_removed,
    parse_duration,
    rules,
    unfilled,
    written_whole,
)
from splai.api.condition import Condition
from splai.api.job_input import Input
from splai.api.job_output import Output
from splai.api.job_workers import Workers
from splai.api.model_backend import ModelID

RequestType = Literal["chat", "completion", "embedding", "response"]
JobPhase = Literal[
    "Pending", "Queued", "Running", "Suspended", "Finalizing", "Canceling", "Completed", "Failed", "Canceled"
]
TaskPhase = Literal["Pending", "Running", "Completed", "Canceled"]
TERMINAL_PHASES: frozenset[str] = frozenset({"Completed", "Failed", "Canceled"})


class BackendReference(APIModel):
    """A ModelBackend of the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the ModelBackend.")]


class Prompt(APIModel):
    """How a record becomes a request; Jinja2, sandboxed, with the record's fields as variables."""

    template: Annotated[
        str | None,
        Field(min_length=1, max_length=65536, description="The user's message, the prompt or the text to embed."),
    ] = None
    system: Annotated[str | None, Field(max_length=65536, description="chat: the system message, a template too.")] = (
        None
    )


class Retry(APIModel):
    """Tries of one record. A backend that is away costs none; 4xx other than 408 and 429 is final."""

    max_attempts: Annotated[int, Field(ge=1, le=20, description="The first try counts.")] = 3
    initial_backoff: Annotated[Duration, Field(description="Wait before the second try; it doubles with each.")] = "1s"
    max_backoff: Annotated[Duration, Field(description="The longest wait.")] = "60s"


class FailurePolicy(APIModel):
    """When records without an answer make the job fail; without it they never do."""

    max_failed_records: Annotated[
        NumberOrShare,
        Field(description="More failed records than this number, or than this share of all such as 5%, fail the job."),
    ]

    def allowed(self, total: int) -> int:
        """The most records out of ``total`` that may fail."""
        if isinstance(self.max_failed_records, int):
            return self.max_failed_records
        return total * int(self.max_failed_records.removesuffix("%")) // 100


class InferenceJobSpec(APIModel):
    """The wanted work."""

    model_config = {
        "json_schema_extra": rules(
            ("!has(self.backendRef) || !has(self.model)", "set at most one of model and backendRef"),
            (
                "!has(self.prompt) || !has(self.prompt.system) || self.type in ['chat', 'llm_inference', 'response']",
                "prompt.system belongs to the types chat and response",
            ),
            *map(neither_added_nor_removed, ("model", "backendRef", "policy", "prompt", "retry", "failurePolicy")),
            *map(neither_added_nor_removed, ("completionWindow", "activeDeadlineSeconds")),
            # A map, not a free object: of two free objects CEL compares only the keys they share.
            # dyn(): the rule's type checker knows no values of mixed types, but at run time the field is there.
            ("dyn(self).parameters == dyn(oldSelf).parameters", "parameters are immutable"),
            (
                "!has(self.workers.template) && !has(oldSelf.workers.template) || self.suspend || oldSelf.suspend || "
                "has(self.workers.template) && has(oldSelf.workers.template) && "
                "self.workers.template == oldSelf.workers.template",
                "workers.template is immutable unless the job is suspended",
            ),
        )
    }

    type: Annotated[
        Literal["chat", "completion", "embedding", "response", "llm_inference"],
        Field(description="The kind of request; llm_inference means chat.", json_schema_extra=immutable("type")),
    ] = "chat"
    model: Annotated[
        ModelID | None,
        Field(
            description=(
                "An id or alias that a ModelBackend serves: of this namespace, or one that its access opens to it. "
                "Without it the policy's model, or else the namespace's default backend."
            ),
            json_schema_extra=immutable("model"),
        ),
    ] = None
    backend_ref: Annotated[BackendReference | None, Field(json_schema_extra=immutable("backendRef"))] = None
    policy: Annotated[
        ObjectName | None,
        Field(
            description="Named defaults and limits, from the operator's configuration, e.g. enterprise-default.",
            json_schema_extra=immutable("policy"),
        ),
    ] = None
    priority: Annotated[
        ObjectName | None,
        Field(
            description=(
                "interactive or batch (the PriorityClasses splai-interactive and splai-batch), or an existing "
                "PriorityClass. It may change until a worker has run."
            )
        ),
    ] = None
    input: Annotated[Input, Field(json_schema_extra=immutable("input"))]
    prompt: Annotated[Prompt | None, Field(json_schema_extra=immutable("prompt"))] = None
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="Passed to the engine with every request, e.g. max_tokens, temperature; a record's own win.",
            json_schema_extra={"additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
    ] = {}
    output: Annotated[Output, Field(json_schema_extra=immutable("output"))] = Output()
    workers: Workers = Workers()
    retry: Annotated[Retry, Field(json_schema_extra=unfilled() | immutable("retry"))] = Retry()
    failure_policy: Annotated[FailurePolicy | None, Field(json_schema_extra=immutable("failurePolicy"))] = None
    suspend: Annotated[
        bool,
        Field(description="true ends the worker pods and frees their GPUs, keeping what is done; false goes on."),
    ] = False
    completion_window: Annotated[
        Duration | None,
        Field(
            description="Time from creation, also while queued or suspended; then the job is Failed with Expired.",
            json_schema_extra=immutable("completionWindow"),
        ),
    ] = None
    active_deadline_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            description="Seconds from the first worker's start, anew after each suspension; then Failed.",
            json_schema_extra=immutable("activeDeadlineSeconds"),
        ),
    ] = None
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(ge=60, description="Seconds until the resource is deleted; its record is kept, outputs their own time."),
    ] = None
    request_timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=86400,
            description="Seconds for one request to the engine.",
            json_schema_extra=immutable("requestTimeoutSeconds"),
        ),
    ] = 600
    backoff_limit: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Failures of worker pods, disruptions apart, before the job is Failed.",
            json_schema_extra=immutable("backoffLimit"),
        ),
    ] = 6
    cancel: Annotated[
        bool,
        Field(
            description="true ends the job, keeping what is done; it cannot be taken back.",
            json_schema_extra=rules(("self || !oldSelf", "cancel is one-way")),
        ),
    ] = False

    @property
    def window(self) -> timedelta | None:
        return parse_duration(self.completion_window) if self.completion_window else None

    @property
    def request_type(self) -> RequestType:
        return "chat" if self.type == "llm_inference" else self.type


class RequestCounts(APIModel):
    """Records by state, as in the OpenAI Batch object; durable ones only, so they never fall."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    in_flight: Annotated[int, Field(description="Requests that wait for an answer now; the one count that falls.")] = 0
    retried: Annotated[int, Field(description="Records that took more than one try.")] = 0


class Usage(APIModel):
    """Tokens of all durable answers."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: Annotated[int, Field(description="Prompt tokens that the engine had in its prefix cache.")] = 0
    reasoning_tokens: Annotated[int, Field(description="Completion tokens spent on reasoning.")] = 0


class Throughput(APIModel):
    """How fast the job goes, over the last minutes of work."""

    records_per_second: Annotated[str, Field(description="A decimal number, e.g. 12.5.")] = "0"
    tokens_per_second: Annotated[str, Field(description="Prompt and completion tokens; a decimal number.")] = "0"
    measured_at: Annotated[
        str | None,
        Field(description="When counts and usage were compared last.", json_schema_extra={"format": "date-time"}),
    ] = None


class TaskStatus(APIModel):
    """A contiguous range of records."""

    id: Annotated[str, Field(description="Its place among the tasks: 0000 holds the first records.")]
    phase: TaskPhase = "Pending"
    records: int = 0
    completed: Annotated[int, Field(description="Records with an answer.")] = 0
    failed: Annotated[int, Field(description="Records with an error.")] = 0
    attempts: Annotated[int, Field(description="Times the task was claimed by a worker.")] = 0
    worker: Annotated[str | None, Field(description="The last worker that claimed it.")] = None
    output_artifact_uri: Annotated[
        str | None,
        Field(alias="outputArtifactURI", description="Its answers, once Completed, in a job of at most 100 tasks."),
    ] = None
    message: Annotated[str | None, Field(max_length=120, description="How many of its records failed.")] = None


class WorkersStatus(APIModel):
    """The child Job and its pods."""

    job_name: Annotated[str | None, Field(description="The batch/v1 Job whose pods work, or worked last.")] = None
    active: Annotated[int, Field(description="Its pods that have not ended.")] = 0
    ready: Annotated[int, Field(description="Its pods that are Ready.")] = 0
    replaced_jobs: Annotated[int, Field(description="Child Jobs that ended or vanished before the work was done.")] = 0
    failures: Annotated[int, Field(description="Failed worker pods of all child Jobs, disruptions apart.")] = 0


class ArtifactLocation(APIModel):
    """A finished file."""

    uri: Annotated[str, Field(description="Served by the gateway, or in the place that spec.output names.")]
    bytes: int | None = None
    sha256: str | None = None


class OutputLocation(ArtifactLocation):
    """The finished output, and where the tasks' own outputs are."""

    task_uri_prefix: Annotated[
        str | None,
        Field(alias="taskURIPrefix", description="With more than 100 tasks: before each id and /output.jsonl."),
    ] = None


class InferenceJobStatus(APIModel):
    """The observed state.

    Condition types: Ready, Reconciling, Stalled, Succeeded, Failed, Suspended, Validated, BackendReady, QuotaReserved,
    WorkersReady.
    """

    observed_generation: Annotated[int, Field(description="The metadata.generation this was decided on.")] = -1
    conditions: Annotated[
        list[Condition],
        Field(description="Each with a reason and what to know about it.", json_schema_extra=written_whole()),
    ] = []
    phase: Annotated[
        JobPhase | None, Field(description="The conditions in one word; Completed, Failed and Canceled are for ever.")
    ] = None
    message: Annotated[str, Field(description="Message of the condition Ready.")] = ""
    backend: Annotated[
        str | None, Field(description="The ModelBackend that was chosen; namespace/name if it is another namespace's.")
    ] = None
    spec_hash: Annotated[str | None, Field(description="Hash of the fields that the plan fixed.")] = None
    total: Annotated[int, Field(description="Records of the input.")] = 0
    succeeded: Annotated[int, Field(description="Records with a durable answer.")] = 0
    failed: Annotated[int, Field(description="Records with a durable error.")] = 0
    progress_percent: Annotated[int, Field(description="Of the records, those that succeeded or failed.")] = 0
    request_counts: RequestCounts = RequestCounts()
    usage: Usage = Usage()
    throughput: Annotated[Throughput | None, Field(description="How fast the job goes while it is Running.")] = None
    estimated_remaining_seconds: Annotated[
        int | None, Field(description="Seconds for the rest of the records at the throughput, while Running.")
    ] = None
    tasks: Annotated[
        list[TaskStatus],
        Field(
            max_length=1000,
            description="In input order; where they are too many for one object, those that are not Completed.",
            json_schema_extra=written_whole(),
        ),
    ] = []
    workers: WorkersStatus = WorkersStatus()
    output: OutputLocation | None = None
    errors: Annotated[ArtifactLocation | None, Field(description="Set when a record failed.")] = None
    start_time: Annotated[
        str | None,
        Field(
            description="When a worker first ran, since the last suspension.", json_schema_extra={"format": "date-time"}
        ),
    ] = None
    completion_time: Annotated[
        str | None, Field(description="When the phase became final.", json_schema_extra={"format": "date-time"})
    ] = None
    expires_at: Annotated[
        str | None,
        Field(
            description="The end of the completion window; once the job is over, when its TTL ends.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None


class InferenceJob(APIModel):
    """A batch of records that runs through a model on worker pods."""

    model_config = {
        "json_schema_extra": rules(
            ("size(self.metadata.name) <= 52", "the name must have at most 52 characters"),
            (
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "the name must be a DNS-1035 label: it becomes part of the child Jobs' names",
            ),
            (
                "(has(self.spec.priority) ? has(oldSelf.spec.priority) && self.spec.priority == oldSelf.spec.priority "
                ": !has(oldSelf.spec.priority)) || "
                "!has(oldSelf.status) || !has(oldSelf.status.startTime)",
                "spec.priority is immutable once a worker has run",
            ),
        )
    }

    metadata: dict[str, Any]
    spec: InferenceJobSpec
    status: InferenceJobStatus = InferenceJobStatus()

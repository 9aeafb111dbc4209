"""InferenceJob: a batch of records, the model that answers them, and the state of every task."""

from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.base import APIModel, Duration, ObjectName, keyed_by, rules
from splai.api.condition import Condition
from splai.api.model_backend import ModelID
from splai.api.pod_template import PodTemplate

RequestType = Literal["chat", "completion", "embedding"]
JobPhase = Literal["Pending", "Queued", "Running", "Finalizing", "Canceling", "Completed", "Failed", "Canceled"]
TaskPhase = Literal["Pending", "Running", "Completed", "Canceled"]
TERMINAL_PHASES: frozenset[str] = frozenset({"Completed", "Failed", "Canceled"})


class BackendReference(APIModel):
    """A ModelBackend of the same namespace."""

    name: Annotated[ObjectName, Field(description="Of the ModelBackend.")]


class ConfigMapInput(APIModel):
    """One key of a ConfigMap of the same namespace."""

    name: Annotated[ObjectName, Field(description="Of the ConfigMap.")]
    key: Annotated[str, Field(min_length=1, max_length=253, description="Whose text holds the records.")]


class Input(APIModel):
    """Where the records come from: exactly one source."""

    # dyn(): the rule's type checker knows no lists of mixed types, but at run time the field is there.
    model_config = {
        "json_schema_extra": rules(
            (
                "[has(self.text), has(dyn(self).items), has(self.configMap)].filter(x, x).size() == 1",
                "set exactly one of text, items, configMap",
            )
        )
    }

    text: Annotated[str | None, Field(max_length=65536, description="One record: its field `text`.")] = None
    items: Annotated[
        list[Any] | None,
        Field(
            max_length=10000,
            description="Records: objects, or strings that become the field `text`. At most 64 KiB as JSON.",
            json_schema_extra={"items": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
    ] = None
    config_map: ConfigMapInput | None = None
    format: Annotated[
        Literal["auto", "jsonl", "openai-batch"],
        Field(
            description=(
                "jsonl: a JSON object a line. openai-batch: lines of the OpenAI Batch input file. "
                "auto: openai-batch when the first record has custom_id and body, else jsonl."
            )
        ),
    ] = "auto"


class Prompt(APIModel):
    """How a record becomes a request; Jinja2, sandboxed, with the record's fields as variables."""

    template: Annotated[
        str | None,
        Field(min_length=1, max_length=65536, description="The user's message, the prompt or the text to embed."),
    ] = None
    system: Annotated[str | None, Field(max_length=65536, description="chat: the system message, a template too.")] = (
        None
    )


class Workers(APIModel):
    """The pods that send the records to the model."""

    mode: Annotated[
        Literal["Shared", "Dedicated"],
        Field(
            description=(
                "Shared: workers call the backend's Service. "
                "Dedicated: each worker pod runs the backend's engine beside it, with its GPUs."
            )
        ),
    ] = "Shared"
    parallelism: Annotated[int, Field(ge=1, le=1000, description="Worker pods at once.")] = 1
    concurrency: Annotated[int, Field(ge=1, le=1024, description="Requests in flight a worker.")] = 16
    template: Annotated[
        PodTemplate | None,
        Field(
            description=(
                "Overlay on the worker pods. Dedicated: on top of the backend's template, "
                "and env, resources and volumeMounts are the engine's."
            )
        ),
    ] = None


class Retry(APIModel):
    """Tries of one record. A backend that is away costs none; 4xx other than 408 and 429 is final."""

    max_attempts: Annotated[int, Field(ge=1, le=20, description="The first try counts.")] = 3
    initial_backoff: Annotated[Duration, Field(description="Wait before the second try; it doubles with each.")] = "1s"
    max_backoff: Annotated[Duration, Field(description="The longest wait.")] = "60s"


class InferenceJobSpec(APIModel):
    """The wanted work."""

    model_config = {
        "json_schema_extra": rules(
            ("has(self.model) != has(self.backendRef)", "set exactly one of model and backendRef"),
            (
                "self.type in ['chat', 'llm_inference'] || !has(self.prompt) || !has(self.prompt.system)",
                "prompt.system belongs to type chat",
            ),
            ("self.type == oldSelf.type", "type is immutable"),
            (
                "has(self.model) == has(oldSelf.model) && (!has(self.model) || self.model == oldSelf.model)",
                "model is immutable",
            ),
            (
                "has(self.backendRef) == has(oldSelf.backendRef) && "
                "(!has(self.backendRef) || self.backendRef == oldSelf.backendRef)",
                "backendRef is immutable",
            ),
            ("self.input == oldSelf.input", "input is immutable"),
            (
                "has(self.prompt) == has(oldSelf.prompt) && (!has(self.prompt) || self.prompt == oldSelf.prompt)",
                "prompt is immutable",
            ),
            # dyn() as in Input. A map, not a free object: of two free objects CEL compares only the keys they share.
            ("dyn(self).parameters == dyn(oldSelf).parameters", "parameters are immutable"),
            ("self.workers.mode == oldSelf.workers.mode", "workers.mode is immutable"),
            ("self.workers.concurrency == oldSelf.workers.concurrency", "workers.concurrency is immutable"),
            (
                "has(self.workers.template) == has(oldSelf.workers.template) && "
                "(!has(self.workers.template) || self.workers.template == oldSelf.workers.template)",
                "workers.template is immutable",
            ),
            ("self.retry == oldSelf.retry", "retry is immutable"),
            (
                "self.requestTimeoutSeconds == oldSelf.requestTimeoutSeconds",
                "requestTimeoutSeconds is immutable",
            ),
            ("self.backoffLimit == oldSelf.backoffLimit", "backoffLimit is immutable"),
            ("self.cancel || !oldSelf.cancel", "cancel is one-way"),
        )
    }

    type: Annotated[
        Literal["chat", "completion", "embedding", "llm_inference"],
        Field(description="The kind of request; llm_inference means chat."),
    ] = "chat"
    model: Annotated[
        ModelID | None, Field(description="An id or alias that a ModelBackend of this namespace serves.")
    ] = None
    backend_ref: BackendReference | None = None
    input: Input
    prompt: Prompt | None = None
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="Passed to the engine with every request, e.g. max_tokens, temperature; a record's own win.",
            json_schema_extra={"additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
    ] = {}
    workers: Workers = Workers()
    retry: Retry = Retry()
    request_timeout_seconds: Annotated[int, Field(ge=1, le=86400, description="Of one request to the engine.")] = 600
    backoff_limit: Annotated[
        int,
        Field(ge=0, le=1000, description="Failures of worker pods, disruptions apart, before the job is Failed."),
    ] = 6
    cancel: Annotated[bool, Field(description="true ends the job, keeping what is done; it cannot be taken back.")] = (
        False
    )

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


class TaskStatus(APIModel):
    """A contiguous range of records."""

    id: Annotated[str, Field(description="Its place among the tasks: 0000 holds the first records.")]
    phase: TaskPhase = "Pending"
    records: int = 0
    completed: Annotated[int, Field(description="Records with an answer.")] = 0
    failed: Annotated[int, Field(description="Records with an error.")] = 0
    attempts: Annotated[int, Field(description="Times the task was claimed by a worker.")] = 0
    worker: Annotated[str | None, Field(description="The last that claimed it.")] = None
    output_artifact_uri: Annotated[
        str | None,
        Field(alias="outputArtifactURI", description="Its answers, once Completed, in a job of at most 100 tasks."),
    ] = None
    message: Annotated[str | None, Field(max_length=120, description="How many of its records failed.")] = None


class WorkersStatus(APIModel):
    """The child Job and its pods."""

    job_name: Annotated[str | None, Field(description="The batch/v1 Job whose pods work, or worked last.")] = None
    active: Annotated[int, Field(description="Its pods that have not ended.")] = 0
    ready: Annotated[int, Field(description="Its pods that run.")] = 0
    replaced_jobs: Annotated[int, Field(description="Child Jobs that ended or vanished before the work was done.")] = 0
    failures: Annotated[int, Field(description="Failed worker pods of all child Jobs, disruptions apart.")] = 0


class ArtifactLocation(APIModel):
    """A finished file."""

    uri: Annotated[str, Field(description="Served by the gateway.")]
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

    Condition types: Ready, Reconciling, Stalled, Succeeded, Failed, Validated, BackendReady, WorkersReady.
    """

    observed_generation: Annotated[int, Field(description="The metadata.generation this was decided on.")] = -1
    conditions: Annotated[
        list[Condition],
        Field(description="Each with a reason and what to know about it.", json_schema_extra=keyed_by("type")),
    ] = []
    phase: Annotated[
        JobPhase | None, Field(description="The conditions in one word; Completed, Failed and Canceled are for ever.")
    ] = None
    message: Annotated[str, Field(description="That of the condition Ready.")] = ""
    backend: Annotated[str | None, Field(description="The ModelBackend that was chosen.")] = None
    spec_hash: Annotated[str | None, Field(description="Of the fields that were fixed when the work was planned.")] = (
        None
    )
    total: Annotated[int, Field(description="Records of the input.")] = 0
    succeeded: Annotated[int, Field(description="Records with a durable answer.")] = 0
    failed: Annotated[int, Field(description="Records with a durable error.")] = 0
    progress_percent: Annotated[int, Field(description="Of the records, those that succeeded or failed.")] = 0
    request_counts: RequestCounts = RequestCounts()
    usage: Usage = Usage()
    tasks: Annotated[
        list[TaskStatus],
        Field(
            max_length=1000,
            description="In input order; where they are too many for one object, those that are not Completed.",
            json_schema_extra=keyed_by("id"),
        ),
    ] = []
    workers: WorkersStatus = WorkersStatus()
    output: OutputLocation | None = None
    errors: Annotated[ArtifactLocation | None, Field(description="Set when a record failed.")] = None
    start_time: Annotated[
        str | None, Field(description="When a worker first ran.", json_schema_extra={"format": "date-time"})
    ] = None
    completion_time: Annotated[
        str | None, Field(description="When the phase became final.", json_schema_extra={"format": "date-time"})
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
        )
    }

    metadata: dict[str, Any]
    spec: InferenceJobSpec
    status: InferenceJobStatus = InferenceJobStatus()

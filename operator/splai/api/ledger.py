"""The objects of a job's folder in the artifact store: who writes what, and what each one means.

::

    {namespace}/{job uid}/
      reading.json                      ReadingOrder create-only, by the operator; the planning pod's only instruction
      input/{attempt}/{number}          chunk        create-only, by the planning pod; the records as they were read
      input.json                        InputManifest create-only, by the planning pod: which chunks, and all are good
      validation.json                   Validation   create-only, by the planning pod: why the input cannot be used
      plan.json                         WorkOrder    create-only, by the operator; the worker's only instruction
      tasks/{task}/claim-{epoch}        Claim        create-only; epoch = highest seen + 1
      tasks/{task}/{epoch}-{number}     part         create-only; JSON lines, each a PartLine
      tasks/{task}/commit               Commit       create-only; the first one wins, the task is done
      workers/{worker}                  WorkerReport overwritten; lease and progress in one
      closing                           Closing      create-only, only when some task has no commit
      tasks/final/commit                Commit       create-only; decides what the outputs are made of, see below
      output.jsonl, errors.jsonl                     overwritten; bytes are a function of the commits or of closing
      final                             Final        create-only; the work is over if and only if it exists
      history.json                      HistoryRecord by the operator, before the resource is deleted

Inputs that the apiserver holds are read by the operator and copied into plan.json. All others are read once, in one
pass, by a planning pod, which leaves the records as compressed chunks: workers need neither the source's credentials
nor its format, and nothing that happens to the source afterwards can shift a position. A planning pod that is started
again writes into a folder of its own; ``input.json`` names the one that counts.

A create that fails or times out is read back: it is mine if its nonce is mine. Readers use only parts that a commit
or ``closing`` names, so a zombie worker costs work, never a line. A position held twice counts once, first in list
order. Clocks of two machines are never compared.

``closing`` and the last task's commit can be written at the same moment, each by somebody who did not see the other.
So nobody writes an output before ``tasks/final/commit`` exists: its parts are ``["closing"]``, or empty for the
commits of all tasks. The first one wins and the loser does as it says.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from splai.api.base import APIModel
from splai.api.inference_job import Prompt, RequestCounts, RequestType, Retry, Usage
from splai.api.job_input import Input
from splai.api.job_output import Output

READING = "reading.json"
MANIFEST = "input.json"
VALIDATION = "validation.json"
HISTORY = "history.json"
INPUT_PREFIX = "input/"
PLAN = "plan.json"
CLOSING = "closing"
FINAL = "final"
OUTPUT = "output.jsonl"
ERRORS = "errors.jsonl"
WORKERS_PREFIX = "workers/"
TASKS_PREFIX = "tasks/"
FINAL_TASK = "final"  # claimed like a task by the worker that finalizes
MAX_TASKS = 1000
TASKS_FOR_WORKERS = 250  # as many workers as a job of some thousand records can use
TASK_RECORDS = 512  # beyond which a claim, a part and a commit cost next to nothing a record
ALIVE_SECONDS = 60.0
"""A worker whose report has not changed for so long, on the reader's own clock, is taken for dead."""

_CLAIM = re.compile(rf"{TASKS_PREFIX}([^/]+)/claim-(\d+)")
_PART = re.compile(rf"{TASKS_PREFIX}([^/]+)/((\d+)-(\d+))")
_COMMIT = re.compile(rf"{TASKS_PREFIX}([^/]+)/commit")


def task_path(task: str, name: str) -> str:
    """An object of a task, such as a part that a commit names."""
    return f"{TASKS_PREFIX}{task}/{name}"


def claim_path(task: str, epoch: int) -> str:
    return task_path(task, f"claim-{epoch}")


def part_path(task: str, epoch: int, number: int) -> str:
    return task_path(task, f"{epoch}-{number}")


def commit_path(task: str) -> str:
    return task_path(task, "commit")


def highest_epochs(paths: Iterable[str]) -> dict[str, int]:
    """Of each claimed task the highest epoch."""
    epochs: dict[str, int] = {}
    for path in paths:
        if match := _CLAIM.fullmatch(path):
            epochs[match[1]] = max(epochs.get(match[1], 0), int(match[2]))
    return epochs


def part_names(paths: Iterable[str]) -> dict[str, list[str]]:
    """Of each task the names of its parts, by epoch and number."""
    parts: dict[str, list[tuple[int, int, str]]] = {}
    for path in paths:
        if match := _PART.fullmatch(path):
            parts.setdefault(match[1], []).append((int(match[3]), int(match[4]), match[2]))
    return {task: [name for *_, name in sorted(named)] for task, named in parts.items()}


def committed_tasks(paths: Iterable[str]) -> list[str]:
    """The tasks that have a commit, in the order of the paths; ``FINAL_TASK`` may be one."""
    return [match[1] for path in paths if (match := _COMMIT.fullmatch(path))]


def worker_path(worker: str) -> str:
    return f"{WORKERS_PREFIX}{worker}"


def chunk_path(attempt: str, number: int) -> str:
    return f"{INPUT_PREFIX}{attempt}/{number:06d}"


def is_decisive(path: str) -> bool:
    """Whether the object decides something, and so is created once and never changed."""
    named = {READING, MANIFEST, VALIDATION, PLAN, CLOSING, FINAL}
    return path in named or path.startswith((TASKS_PREFIX, INPUT_PREFIX))


class TaskRange(APIModel):
    """A task: the contiguous records ``first`` … ``first + count - 1``, counted from 0."""

    id: str
    first: int
    count: int

    @property
    def positions(self) -> range:
        return range(self.first, self.first + self.count)


def records_a_task(records: int) -> int:
    """One for a job of up to 1,000 records; for a larger one 512, or what makes it some 250 to 1,000 tasks."""
    if records <= MAX_TASKS:
        return 1
    return max(-(-records // MAX_TASKS), min(TASK_RECORDS, -(-records // TASKS_FOR_WORKERS)))


def split_into_tasks(records: int) -> tuple[TaskRange, ...]:
    """All records in order, as many a task as ``records_a_task`` says; the last may have fewer."""
    size = records_a_task(records)
    return tuple(
        TaskRange(id=f"{number:04d}", first=first, count=min(size, records - first))
        for number, first in enumerate(range(0, records, size))
    )


class Limits(APIModel):
    """What a policy allows one job."""

    max_records: int | None = None
    max_tokens: Annotated[int | None, Field(description="max_tokens that a record may ask for.")] = None


class ReadingOrder(APIModel):
    """reading.json: the input that a planning pod reads, and what each of its records must be good for."""

    version: Literal[1] = 1
    namespace: str
    job: str
    uid: str
    type: RequestType
    input: Input
    prompt: Prompt | None = None
    parameters: dict[str, Any] = {}
    failed_of_uid: Annotated[str | None, Field(description="UID of the job that input.failedOf named.")] = None
    limits: Limits = Limits()
    policy: str | None = None
    spec_hash: str


class SourceIdentity(APIModel):
    """The bytes that were read."""

    uri: Annotated[str, Field(description="Without credentials and query.")]
    bytes: Annotated[int, Field(description="As they were read, before decompression.")]
    etag: str | None = None
    sha256: str | None = None


class InputManifest(APIModel):
    """input.json: the records of a job as chunks, all of them good."""

    version: Literal[1] = 1
    attempt: Annotated[str, Field(description="Folder of the chunks.")]
    first: Annotated[list[int], Field(description="Position of each chunk's first record, ascending from 0.")]
    records: int
    bytes: Annotated[int, Field(description="Of the records as JSON lines.")]
    format: Literal["jsonl", "openai-batch"]
    sources: Annotated[list[SourceIdentity], Field(description="The first ones, at most 1,000.")]
    more_sources: Annotated[int, Field(description="How many others were read.")] = 0
    spec_hash: str

    def chunk_of(self, position: int) -> int:
        """The number of the chunk that holds a record."""
        return bisect_right(self.first, position) - 1


class Validation(APIModel):
    """validation.json: what is wrong with the input."""

    reason: Annotated[str, Field(description="ValidationFailed, InputChanged, InputNotFound, PolicyViolation.")]
    problems: Annotated[list[str], Field(description="The first ones, at most 20, each with its record and line.")]
    total: Annotated[int, Field(description="Problems in all.")]


class WorkOrder(APIModel):
    """plan.json: the whole work after defaults, so that worker pods need nothing from the apiserver."""

    version: Literal[1] = 1
    namespace: str
    job: str
    uid: str
    type: RequestType
    backend: Annotated[str | None, Field(description="Name of the ModelBackend.")] = None
    model: Annotated[str, Field(description="The id that the engine serves.")]
    endpoint: Annotated[str, Field(description="Base URL of the engine, without /v1.")]
    prompt: Prompt | None = None
    parameters: dict[str, Any] = {}
    format: Literal["jsonl", "openai-batch"]
    records: Annotated[
        list[dict[str, Any]], Field(description="A small input, in order, copied when it was planned.")
    ] = []
    chunks: Annotated[InputManifest | None, Field(description="Any other input, instead of records.")] = None
    output: Output = Output()
    concurrency: int
    dispatch_order: Literal["Input", "Prefix"] = "Input"
    retry: Retry
    request_timeout_seconds: int
    spec_hash: str

    @property
    def total(self) -> int:
        return self.chunks.records if self.chunks else len(self.records)

    @property
    def tasks(self) -> tuple[TaskRange, ...]:
        return split_into_tasks(self.total)


class Claim(APIModel):
    """Who runs a task in an epoch."""

    worker: str
    nonce: str


class PartLine(APIModel):
    """One record's outcome: a line of output.jsonl or of errors.jsonl, in OpenAI Batch line format."""

    position: int
    kind: Literal["output", "error"]
    attempts: Annotated[int, Field(description="Tries that it took; more than one counts as retried.")] = 1
    line: dict[str, Any]


class TaskCounts(APIModel):
    """Durable outcomes of a task."""

    completed: int = 0
    failed: int = 0
    retried: int = 0


class Commit(APIModel):
    """A task is done: the parts that hold its lines, of any epoch, in reading order."""

    worker: str
    nonce: str
    parts: Annotated[list[str], Field(description="Object names below the task's folder, such as 1-0.")]
    counts: TaskCounts
    usage: Usage = Usage()


class HeldTask(APIModel):
    """A claim as its holder reports it."""

    task: str
    epoch: int
    counts: TaskCounts = TaskCounts()


class EngineState(APIModel):
    """What a worker last saw of its engine; a message never holds a prompt or an answer."""

    reachable: bool = True
    message: str = ""


class WorkerReport(APIModel):
    """A worker's heartbeat, overwritten every 5 s; ``sequence`` grows with each, so a reader sees it change."""

    worker: Annotated[str, Field(description="{child Job}-{index}-{pod uid}: the object's name.")]
    child_job: str
    index: int
    pod_uid: str
    pod_name: str = ""
    sequence: int = 0
    state: Literal["running", "released"] = "running"
    held: list[HeldTask] = []
    in_flight: int = 0
    engine: EngineState = EngineState()
    finalized_bytes: Annotated[int, Field(description="Of the output files, when this worker writes them.")] = 0


class ClosingTask(APIModel):
    """The parts of one task that the output of a job without all commits will hold."""

    task: str
    parts: list[str]


class Closing(APIModel):
    """Fixes the output of a job that ends before all tasks are committed."""

    nonce: str
    code: Annotated[str, Field(description="Error code of records that were never answered, e.g. batch_cancelled.")]
    message: str
    tasks: list[ClosingTask]


class FileSummary(APIModel):
    """A finished file."""

    bytes: int
    sha256: str
    lines: int


class Final(APIModel):
    """The job's work is over."""

    nonce: str
    complete: Annotated[bool, Field(description="Every task was committed; false when closing cut the job short.")]
    closing_code: Annotated[str, Field(description="The code of closing, which says why the job was cut short.")] = ""
    uri: Annotated[str, Field(description="Of the folder with the files, where it is a place of the user's.")] = ""
    counts: RequestCounts
    usage: Usage
    output: FileSummary
    errors: FileSummary
    closed_tasks: list[ClosingTask] = []


class TaskProgress(APIModel):
    """A task as the ledger shows it."""

    id: str
    state: Literal["pending", "claimed", "committed"] = "pending"
    epoch: Annotated[int, Field(description="Highest claim seen: how often the task was taken.")] = 0
    worker: str | None = None
    counts: TaskCounts = TaskCounts()


class Progress(APIModel):
    """What the artifact server reads out of a job's folder; counts are of durable lines only."""

    planned: bool
    input: Annotated[InputManifest | None, Field(description="Until the work is planned.")] = None
    invalid: Validation | None = None
    spec_hash: str | None = None
    backend: Annotated[str | None, Field(description="Name of the ModelBackend that the work was planned for.")] = None
    tasks: list[TaskProgress] = []
    counts: RequestCounts = RequestCounts()
    usage: Usage = Usage()
    workers: list[WorkerReport] = []
    finalized_bytes: Annotated[int, Field(description="Of the output files, written so far.")] = 0
    closing: bool = False
    store_full: Annotated[
        bool, Field(description="The artifact store took no more lately, or has no room to begin this job.")
    ] = False
    final: Final | None = None

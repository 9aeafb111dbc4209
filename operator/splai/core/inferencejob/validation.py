"""Everything about a job that can be known to be wrong before a pod with a GPU exists.

Every record is turned into its request here, once, with the code the worker will use: what passes cannot fail later
for its own fault, and a template's missing field is told with the record's place instead of being found by a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from splai.api.inference_job import InferenceJobSpec, Prompt, RequestType
from splai.api.ledger import Limits, ReadingOrder
from splai.core.inferencejob.line_formats import to_json
from splai.core.inferencejob.policy import TOKEN_PARAMETERS
from splai.core.inferencejob.prompt import RESERVED_PARAMETERS, RecordError, RecordFormat, RequestBuilder
from splai.core.inferencejob.records import Placed, Problems, Records, config_map_format, read_records, record_format
from splai.core.inferencejob.template import TemplateError

FAILED = "ValidationFailed"
VIOLATION = "PolicyViolation"
RECORDS_LIMIT = 14 * 1024 * 1024
"""As JSON: plan.json holds them, an object of at most 16 MiB, and beside them all else that the job's spec says."""


@dataclass(frozen=True)
class Rejection:
    """Why the input cannot be used: the first problems, each with its field, line or item, out of ``total``."""

    reason: str
    problems: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Requirements:
    """What each record of a job must be good for."""

    type: RequestType
    prompt: Prompt | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    policy: str | None = None

    @classmethod
    def of_order(cls, order: ReadingOrder) -> "Requirements":
        """What a planning pod has to check."""
        return cls(order.type, order.prompt, order.parameters, order.limits, order.policy)

    @property
    def policy_allows(self) -> str:
        return f"the policy {self.policy} allows" if self.policy else "the policy allows"


@dataclass
class Findings(Problems):
    """Problems, and whether it is only the policy that has something against the input."""

    violations: int = 0

    def add_violation(self, problem: str) -> None:
        self.violations += 1
        self.add(problem)

    @property
    def reason(self) -> str:
        return VIOLATION if self.violations and self.violations == self.total else FAILED


def check_spec(requirements: Requirements, findings: Findings) -> None:
    """Add what is wrong before a record is looked at: parameters and the prompt."""
    parameters, prompt = requirements.parameters, requirements.prompt
    for name in RESERVED_PARAMETERS:
        if name in parameters:
            findings.add(f"spec.parameters.{name}: cannot be set here, SPLAI sets it for each record")
    if problem := _too_many_tokens(parameters, requirements):
        findings.add_violation(f"spec.parameters.{problem}")
    if prompt and prompt.system is not None and requirements.type not in ("chat", "response"):
        findings.add(
            f"spec.prompt.system: only chat and response have a system message, the job's type is {requirements.type}"
        )
    if problem := _template_problem(requirements):
        findings.add(problem)


def format_problem(requirements: Requirements, records: RecordFormat) -> str | None:
    """Why the job cannot have records of this format."""
    if records == "openai-batch" and requirements.prompt:
        return "spec.prompt: lines in openai-batch format bring their own requests; set input.format: jsonl"
    return None


class RecordCheck:
    """Whether a record makes a request."""

    def __init__(self, requirements: Requirements, records: RecordFormat) -> None:
        self._builder = _builder(requirements, records)
        self._requirements = requirements
        self._looks_at_tokens = records == "openai-batch" and requirements.limits.max_tokens is not None
        self.custom_id = self._builder.custom_id

    def check(self, record: Mapping[str, Any], place: str, findings: Findings) -> None:
        """Add what is wrong with a record."""
        if problem := self.problem(record):
            findings.add(f"{place}: {problem}")
        elif violation := self.violation(record):
            findings.add_violation(f"{place}: {violation}")

    def problem(self, record: Mapping[str, Any]) -> str | None:
        """Why the record makes no request."""
        try:
            self._builder.build(record)
        except RecordError as error:
            return str(error)
        return None

    def violation(self, record: Mapping[str, Any]) -> str | None:
        """What a record that makes a request asks for against the policy."""
        if not self._looks_at_tokens:
            return None
        problem = _too_many_tokens(record["body"], self._requirements)
        return f"body.{problem}" if problem else None


def validate(
    spec: InferenceJobSpec,
    config_map_text: str | bytes | None,
    *,
    limits: Limits | None = None,
    policy: str | None = None,
) -> Records | Rejection:
    """The records of an input that the operator reads, if all of them make a request.

    ``config_map_text`` is the ConfigMap's value when the input is one; ``limits`` are those of the job's ``policy``.
    """
    requirements = Requirements(spec.request_type, spec.prompt, spec.parameters, limits or Limits(), policy)
    findings = Findings()
    check_spec(requirements, findings)
    reading = _Reading(spec, requirements, findings)
    for placed in read_records(spec.input, config_map_text):
        reading.take(placed)
        if reading.size > RECORDS_LIMIT:
            findings.add(
                f"spec.input: more than {RECORDS_LIMIT >> 20} MiB as JSON, which a plan cannot hold; "
                "use persistentVolumeClaim, s3 or http"
            )
            break
    if not reading.read and not findings.total:
        findings.add("spec.input: holds no record")
    if findings.total:
        return Rejection(findings.reason, tuple(findings.found), findings.total)
    return Records(reading.format, reading.records)


class _Reading:
    """One pass over the records of an input that fits into memory."""

    def __init__(self, spec: InferenceJobSpec, requirements: Requirements, findings: Findings) -> None:
        self._input = spec.input
        self._requirements = requirements
        self._findings = findings
        self._check: RecordCheck | None = None
        self._seen: dict[str, str] = {}
        self.format: RecordFormat = "jsonl"
        self.records: list[dict[str, Any]] = []
        self.read = 0
        self.size = 0
        """Of the records as JSON; a row of a wide table is many times what it was as text."""

    def take(self, placed: Placed) -> None:
        self.read += 1
        if placed.record is None:
            self._findings.add(f"{placed.place}: {placed.problem}")
            return
        if not self.records:
            self._begin(placed.record)
        self.records.append(placed.record)
        if self._input.config_map:  # other inputs are smaller than any limit
            self.size += len(to_json(placed.record)) + 1
        if len(self.records) - 1 == self._requirements.limits.max_records:
            self._findings.add_violation(too_many_records(self._requirements))
        if self._check:
            self._check.check(placed.record, placed.place, self._findings)
            self._check_custom_id(self._check.custom_id(placed.record, self.read - 1), placed.place)

    def _begin(self, first: dict[str, Any]) -> None:
        is_json = config_map_format(self._input) not in ("csv", "text")
        self.format = record_format(self._input.format, first, is_json=is_json)
        if problem := format_problem(self._requirements, self.format):
            self._findings.add(problem)
        elif not _template_problem(self._requirements):
            self._check = RecordCheck(self._requirements, self.format)

    def _check_custom_id(self, custom_id: str, place: str) -> None:
        if custom_id in self._seen:
            self._findings.add(f"{place}: {same_custom_id(custom_id, self._seen[custom_id])}")
        self._seen.setdefault(custom_id, place)


def too_many_records(requirements: Requirements) -> str:
    return (
        f"spec.input: holds more than the {requirements.limits.max_records} records that {requirements.policy_allows}"
    )


def same_custom_id(custom_id: str, other: str) -> str:
    """Two records of one name would be two answers that nobody can tell apart."""
    return f"custom_id {custom_id[:64]!r} is also that of {other}"


def _builder(requirements: Requirements, records: RecordFormat) -> RequestBuilder:
    return RequestBuilder(
        request_type=requirements.type,
        model="",
        prompt=requirements.prompt,
        parameters=requirements.parameters,
        record_format=records,
    )


def _template_problem(requirements: Requirements) -> str | None:
    try:
        _builder(requirements, "jsonl")
    except TemplateError as error:
        return str(error)
    return None


def _too_many_tokens(fields: Mapping[str, Any], requirements: Requirements) -> str | None:
    limit = requirements.limits.max_tokens
    if limit is None:
        return None
    for name in TOKEN_PARAMETERS:
        if name not in fields:
            continue
        value = fields[name]
        if type(value) is not int:  # an engine might take a text for a number, and null for no bound at all
            return f"{name}: must be a whole number of at most {limit}, which {requirements.policy_allows}"
        if value > limit:
            return f"{name}: {value} is more than the {limit} that {requirements.policy_allows}"
    return None

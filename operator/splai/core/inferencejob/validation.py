"""Everything about a job that can be known to be wrong before a pod exists.

Every record is turned into its request here, once, with the code the worker will use: what passes cannot fail later
for its own fault, and a template's missing field is told with the record's place instead of being found by a GPU.
"""

from dataclasses import dataclass

from splai.api.inference_job import InferenceJobSpec
from splai.core.inferencejob.prompt import RESERVED_PARAMETERS, RecordError, RequestBuilder
from splai.core.inferencejob.records import Problems, Records, read_records
from splai.core.inferencejob.template import TemplateError


@dataclass(frozen=True)
class Validated:
    """Records that all make a request."""

    records: Records


@dataclass(frozen=True)
class Invalid:
    """What the user must change, each problem with its field, line or item."""

    problems: tuple[str, ...]

    @property
    def message(self) -> str:
        return "\n".join(self.problems)


def validate(spec: InferenceJobSpec, config_map_text: str | None) -> Validated | Invalid:
    """Read and check the whole input; ``config_map_text`` is the ConfigMap's value when the input is one."""
    problems = Problems()
    for name in RESERVED_PARAMETERS:
        if name in spec.parameters:
            problems.add(f"spec.parameters.{name}: cannot be set here, SPLAI sets it for each record")
    records = read_records(spec.input, config_map_text, problems)
    _check_prompt(spec, records, problems)
    builder = _builder(spec, records, problems)
    if builder:
        _check_requests(builder, records, problems)
    return Invalid(tuple(problems.found)) if problems.found else Validated(records)


def _check_prompt(spec: InferenceJobSpec, records: Records, problems: Problems) -> None:
    if records.format == "openai-batch":
        if spec.input.text is not None:
            problems.add("spec.input.format: a text is one record, not a line in openai-batch format")
        if spec.prompt:
            problems.add("spec.prompt: lines in openai-batch format bring their own requests; set input.format: jsonl")
    elif spec.prompt and spec.prompt.system is not None and spec.request_type != "chat":
        problems.add(f"spec.prompt.system: only chat has a system message, the job's type is {spec.type}")


def _builder(spec: InferenceJobSpec, records: Records, problems: Problems) -> RequestBuilder | None:
    try:
        return RequestBuilder(
            request_type=spec.request_type,
            model="",
            prompt=spec.prompt,
            parameters=spec.parameters,
            record_format=records.format,
        )
    except TemplateError as error:
        problems.add(str(error))
        return None


def _check_requests(builder: RequestBuilder, records: Records, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for position, (record, place) in enumerate(zip(records.records, records.places, strict=True)):
        if problems.full:
            return
        try:
            builder.build(record)
        except RecordError as error:
            problems.add(f"{place}: {error}")
        custom_id = builder.custom_id(record, position)
        if custom_id in seen:
            problems.add(f"{place}: custom_id {custom_id[:64]!r} is also that of {seen[custom_id]}")
        seen.setdefault(custom_id, place)

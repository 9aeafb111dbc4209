"""What can be known before a pod exists is known before a pod exists."""

import json
from typing import Any

import pytest

from splai.api.ledger import Limits
from splai.core.inferencejob.records import Records
from splai.core.inferencejob.validation import Rejection, validate
from tests.unit.core.builders import make_job

BODY = {"messages": [{"role": "user", "content": "hi"}]}
LINE: dict[str, Any] = {"method": "POST", "url": "/v1/chat/completions", "body": BODY}


def check(text: str | None = None, **spec: Any) -> tuple[str, ...]:
    """The problems that are found; ``text`` is that of a ConfigMap."""
    if text is not None:
        spec["input"] = {"configMap": {"name": "tickets", "key": "lines"}, **spec.pop("input", {})}
    result = validate(make_job(**spec).spec, text)
    return result.problems if isinstance(result, Rejection) else ()


def test_a_good_job_has_its_records() -> None:
    result = validate(make_job(records=2).spec, None)
    assert isinstance(result, Records)
    assert result.records == [{"text": "ticket 1"}, {"text": "ticket 2"}]


@pytest.mark.parametrize("name", ["model", "messages", "prompt", "input", "stream", "n"])
def test_parameters_that_splai_sets_are_refused_by_name(name: str) -> None:
    assert check(parameters={name: 1, "max_tokens": 5}) == (
        f"spec.parameters.{name}: cannot be set here, SPLAI sets it for each record",
    )


def test_a_field_that_a_record_lacks_is_told_with_its_place() -> None:
    text = '{"subject": "a", "body": "b"}\n\n{"subject": "c"}\n'
    assert check(text, prompt={"template": "{{ subject }}: {{ body }}"}) == (
        "record 2 (line 3): the template uses 'body', which the record does not have; it has: subject",
    )


def test_a_template_that_does_not_compile_is_one_problem() -> None:
    assert check(prompt={"template": "{{ a "}) == (
        "spec.prompt.template: line 1: unexpected end of template, expected 'end of print statement'.",
    )


def test_a_system_message_is_for_chat() -> None:
    assert check(type="embedding", prompt={"system": "be brief"}) == (
        "spec.prompt.system: only chat and response have a system message, the job's type is embedding",
    )


def test_a_prompt_for_batch_lines_is_refused() -> None:
    text = json.dumps({**LINE, "custom_id": "a"})
    assert check(text, prompt={"template": "{{ a }}"}) == (
        "spec.prompt: lines in openai-batch format bring their own requests; set input.format: jsonl",
    )


def test_a_text_is_no_batch_line() -> None:
    assert check(input={"text": "hi", "format": "openai-batch"})[0] == (
        "spec.input.format: a text is one record, not a file in openai-batch format"
    )


def test_a_custom_id_that_comes_twice_is_told_with_both_places() -> None:
    text = "\n".join(json.dumps({**LINE, "custom_id": name}) for name in ("a", "b", "a"))
    assert check(text) == ("record 3 (line 3): custom_id 'a' is also that of record 1 (line 1)",)


def test_a_custom_id_may_not_take_the_name_of_another_record() -> None:
    assert check(input={"items": [{"custom_id": "record-2", "text": "a"}, "b"]}) == (
        "item 2: custom_id 'record-2' is also that of item 1",
    )


def test_records_that_grow_beyond_what_a_plan_may_hold_are_refused_before_all_are_made() -> None:
    header = ",".join(f"a column with a long name {number}" for number in range(1000))
    text = "\n".join([header, *["," * 999] * 1000, "," * 5])
    problem = "spec.input: more than 14 MiB as JSON, which a plan cannot hold; use persistentVolumeClaim, s3 or http"
    assert len(text) < 1024 * 1024 + len(header)
    assert check(text, input={"format": "csv"}, prompt={"template": "hi"}) == (problem,)


def test_as_much_as_a_plan_may_hold_is_planned() -> None:
    text = "\n".join(json.dumps({"text": "x" * 1_000_000}) for _ in range(14))
    assert check(text) == ()
    assert len(check(text + "\n" + text)) == 1


def test_problems_of_every_kind_come_together_up_to_twenty() -> None:
    problems = check("oops\n" + '{"text": 5}\n' * 30, parameters={"n": 2})
    assert len(problems) == 20
    assert problems[0].startswith("spec.parameters.n")
    assert problems[1].startswith("record 1 (line 1, column 1)")
    assert problems[2] == "record 2 (line 2): text must be text, not a number"


def test_problems_that_are_not_told_are_counted() -> None:
    spec = make_job(input={"configMap": {"name": "tickets", "key": "lines"}}).spec
    result = validate(spec, "oops\n" * 1000)
    assert isinstance(result, Rejection)
    assert (len(result.problems), result.total) == (20, 1000)


def test_contents_are_never_quoted() -> None:
    problems = check('{"text": {"secret": "secret"}}\n{"secret\nsecret', prompt=None)
    assert problems
    assert "secret" not in " ".join(problems)


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"custom_id": None}, "custom_id must be a text that is not empty"),
        ({"method": "GET"}, "method must be POST"),
        ({"url": "/v1/embeddings"}, "url must be /v1/chat/completions, as the job's type says"),
        ({"body": None}, "body must be an object"),
        ({"body": {**LINE["body"], "stream": True}}, "body.stream must not be true: a batch's answers are whole"),
    ],
)
def test_a_batch_line_that_lacks_something_is_told_with_its_line(fields: dict[str, Any], want: str) -> None:
    text = "\n".join(json.dumps({**LINE, "custom_id": "a", **it}) for it in ({}, {"custom_id": "b", **fields}))
    assert check(text) == (f"record 2 (line 2): {want}",)


def test_different_models_in_one_batch_are_fine_because_the_jobs_answers() -> None:
    bodies = [{**LINE["body"], "model": model} for model in ("gpt-4o", "o3")]
    assert check("\n".join(json.dumps({**LINE, "custom_id": str(n), "body": it}) for n, it in enumerate(bodies))) == ()


@pytest.mark.parametrize("custom_id", ["x", "x" * 64, "x" * 100_000, "\u2028 ü 😀"])
def test_a_custom_id_is_any_text(custom_id: str) -> None:
    assert check(json.dumps({**LINE, "custom_id": custom_id})) == ()


@pytest.mark.parametrize(("text", "line"), [("", None), ("\n \n", None)])
def test_an_input_without_a_record_is_refused(text: str, line: None) -> None:
    assert check(text) == ("spec.input: holds no record",)


def test_a_job_for_responses_is_checked_like_any_other() -> None:
    assert check(type="response", prompt={"system": "be brief"}) == ()
    assert check('{"texts": 1}', type="response") == (
        "record 1 (line 1): there is no prompt.template, and the record has no input or text or prompt",
    )


def violations(limits: Limits, text: str | None = None, **spec: Any) -> Rejection:
    if text is not None:
        spec["input"] = {"configMap": {"name": "tickets", "key": "lines"}}
    result = validate(make_job(**spec).spec, text, limits=limits, policy="small")
    assert isinstance(result, Rejection)
    return result


def test_more_records_than_the_policy_allows_violate_it() -> None:
    assert violations(Limits(max_records=2), records=3) == Rejection(
        "PolicyViolation", ("spec.input: holds more than the 2 records that the policy small allows",), 1
    )
    assert isinstance(validate(make_job(records=3).spec, None, limits=Limits(max_records=3)), Records)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (65, "65 is more than the 64 that the policy small allows"),
        ("65", "must be a whole number of at most 64, which the policy small allows"),
        (None, "must be a whole number of at most 64, which the policy small allows"),
    ],
)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_more_tokens_than_the_policy_allows_violate_it(name: str, value: object, want: str) -> None:
    body = {**LINE["body"], name: value}
    line = json.dumps({**LINE, "custom_id": "a", "body": body})
    limits = Limits(max_tokens=64)
    assert violations(limits, line) == Rejection("PolicyViolation", (f"record 1 (line 1): body.{name}: {want}",), 1)
    assert violations(limits, parameters={name: value}) == Rejection(
        "PolicyViolation", (f"spec.parameters.{name}: {want}",), 1
    )


def test_tokens_within_the_limit_are_fine() -> None:
    line = json.dumps({**LINE, "custom_id": "a", "body": {**LINE["body"], "max_tokens": 64}})
    spec = make_job(input={"configMap": {"name": "a", "key": "b"}}, parameters={"max_tokens": 64}).spec
    assert isinstance(validate(spec, line, limits=Limits(max_tokens=64)), Records)


def test_what_is_wrong_besides_is_more_than_a_violation() -> None:
    result = violations(Limits(max_records=1), '{"text": 1}\n{"text": "a"}')
    assert result.reason == "ValidationFailed"
    assert len(result.problems) == 2


def test_a_file_of_json_lines_may_hold_requests_whatever_its_name() -> None:
    result = validate(
        make_job(input={"configMap": {"name": "tickets", "key": "tickets.jsonl"}}).spec,
        json.dumps({**LINE, "custom_id": "a"}),
    )
    assert isinstance(result, Records)
    assert result.format == "openai-batch"

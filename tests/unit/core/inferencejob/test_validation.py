"""What can be known before a pod exists is known before a pod exists."""

import json
from typing import Any

import pytest

from splai.core.inferencejob.validation import Invalid, Validated, validate
from tests.unit.core.builders import make_job

LINE = {"method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "hi"}]}}


def check(text: str | None = None, **spec: Any) -> tuple[str, ...]:
    """The problems that are found; ``text`` is that of a ConfigMap."""
    if text is not None:
        spec["input"] = {"configMap": {"name": "tickets", "key": "lines"}, **spec.pop("input", {})}
    result = validate(make_job(**spec).spec, text)
    return result.problems if isinstance(result, Invalid) else ()


def test_a_good_job_has_its_records() -> None:
    result = validate(make_job(records=2).spec, None)
    assert isinstance(result, Validated)
    assert result.records.records == [{"text": "ticket 1"}, {"text": "ticket 2"}]


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
        "spec.prompt.system: only chat has a system message, the job's type is embedding",
    )


def test_a_prompt_for_batch_lines_is_refused() -> None:
    text = json.dumps({**LINE, "custom_id": "a"})
    assert check(text, prompt={"template": "{{ a }}"}) == (
        "spec.prompt: lines in openai-batch format bring their own requests; set input.format: jsonl",
    )


def test_a_text_is_no_batch_line() -> None:
    assert check(input={"text": "hi", "format": "openai-batch"})[0] == (
        "spec.input.format: a text is one record, not a line in openai-batch format"
    )


def test_a_custom_id_that_comes_twice_is_told_with_both_places() -> None:
    text = "\n".join(json.dumps({**LINE, "custom_id": name}) for name in ("a", "b", "a"))
    assert check(text) == ("record 3 (line 3): custom_id 'a' is also that of record 1 (line 1)",)


def test_a_custom_id_may_not_take_the_name_of_another_record() -> None:
    assert check(input={"items": [{"custom_id": "record-2", "text": "a"}, "b"]}) == (
        "item 2: custom_id 'record-2' is also that of item 1",
    )


def test_problems_of_every_kind_come_together_up_to_twenty() -> None:
    problems = check("oops\n" + '{"text": 5}\n' * 30, parameters={"n": 2})
    assert len(problems) == 20
    assert problems[0].startswith("spec.parameters.n")
    assert problems[1].startswith("record 1 (line 1, column 1)")
    assert problems[2] == "record 2 (line 2): text must be text, not a number"


def test_contents_are_never_quoted() -> None:
    problems = check('{"text": {"secret": "secret"}}\n{"secret\nsecret', prompt=None)
    assert problems
    assert "secret" not in " ".join(problems)

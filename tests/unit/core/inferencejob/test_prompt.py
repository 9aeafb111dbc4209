from typing import Any

import pytest

from splai.api.inference_job import Prompt, RequestType, Retry
from splai.api.ledger import WorkOrder
from splai.core.inferencejob.prompt import RecordError, RecordFormat, RequestBuilder
from splai.core.inferencejob.template import TemplateError


def make_builder(
    request_type: RequestType = "chat",
    *,
    template: str | None = None,
    system: str | None = None,
    record_format: RecordFormat = "jsonl",
    **parameters: Any,
) -> RequestBuilder:
    return RequestBuilder(
        request_type=request_type,
        model="llama3",
        prompt=Prompt(template=template, system=system),
        parameters=parameters,
        record_format=record_format,
    )


def make_line(**fields: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body, **fields}


def test_a_template_makes_the_message_of_the_user() -> None:
    body = make_builder(template="Classify: {{ subject }}", max_tokens=8).build({"subject": "a"})
    assert body == {"model": "llama3", "max_tokens": 8, "messages": [{"role": "user", "content": "Classify: a"}]}


def test_a_system_template_comes_first() -> None:
    body = make_builder(template="{{ text }}", system="Speak {{ lang }}.").build({"text": "hi", "lang": "French"})
    assert body["messages"] == [{"role": "system", "content": "Speak French."}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("request_type", "path", "want"),
    [
        ("chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("completion", "/v1/completions", {"prompt": "x"}),
        ("embedding", "/v1/embeddings", {"input": "x"}),
        ("response", "/v1/responses", {"input": "x"}),
    ],
)
def test_each_type_has_its_path_and_its_field(request_type: RequestType, path: str, want: dict[str, Any]) -> None:
    builder = make_builder(request_type, template="{{ a }}")
    assert builder.path == path
    assert builder.build({"a": "x"}) == {"model": "llama3", **want}


@pytest.mark.parametrize(
    ("request_type", "record", "want"),
    [
        ("chat", {"text": "x"}, {"messages": [{"role": "user", "content": "x"}]}),
        ("chat", {"prompt": "x"}, {"messages": [{"role": "user", "content": "x"}]}),
        ("chat", {"messages": [{"role": "user"}], "text": "x"}, {"messages": [{"role": "user"}]}),
        ("completion", {"text": "x"}, {"prompt": "x"}),
        ("completion", {"prompt": "y", "text": "x"}, {"prompt": "y"}),
        ("embedding", {"input": "y", "text": "x"}, {"input": "y"}),
        ("embedding", {"text": "x"}, {"input": "x"}),
        ("response", {"input": "y", "text": "x"}, {"input": "y"}),
        ("response", {"input": [{"role": "user", "content": "y"}]}, {"input": [{"role": "user", "content": "y"}]}),
        ("response", {"prompt": "x"}, {"input": "x"}),
    ],
)
def test_without_a_template_fields_speak_for_themselves(
    request_type: RequestType, record: dict[str, Any], want: dict[str, Any]
) -> None:
    assert make_builder(request_type).build(record) == {"model": "llama3", **want}


def test_the_system_message_of_a_response_is_its_instructions() -> None:
    body = make_builder("response", template="{{ text }}", system="Speak {{ lang }}.").build({"text": "a", "lang": "x"})
    assert body == {"model": "llama3", "instructions": "Speak x.", "input": "a"}


def test_a_records_own_system_message_wins() -> None:
    messages = [{"role": "system", "content": "own"}, {"role": "user", "content": "x"}]
    assert make_builder(system="ours").build({"messages": messages})["messages"] == messages


@pytest.mark.parametrize(
    ("request_type", "record", "want"),
    [
        ("chat", {"body": "x"}, "there is no prompt.template, and the record has no messages or text or prompt"),
        ("completion", {"body": "x"}, "there is no prompt.template, and the record has no prompt or text"),
        ("embedding", {"body": "x"}, "there is no prompt.template, and the record has no input or text"),
        ("response", {"body": "x"}, "there is no prompt.template, and the record has no input or text or prompt"),
        ("response", {"input": []}, "input must be text, not a list that is empty"),
        ("chat", {"text": 5}, "text must be text, not a number"),
        ("chat", {"text": ""}, "text is empty"),
        ("chat", {"messages": []}, "messages must be a list with at least one message, not a list that is empty"),
        ("chat", {"messages": "hi"}, "messages must be a list with at least one message, not text"),
        ("chat", {"messages": ["hi"]}, "messages: message 1 must be an object with a role"),
    ],
)
def test_a_record_that_makes_no_request_says_why(request_type: RequestType, record: dict[str, Any], want: str) -> None:
    with pytest.raises(RecordError) as caught:
        make_builder(request_type).build(record)
    assert str(caught.value) == want


def test_a_batch_line_brings_its_request_and_its_own_parameters_win() -> None:
    line = make_line()
    line["body"] |= {"temperature": 1}
    body = make_builder(record_format="openai-batch", temperature=0, max_tokens=8).build(line)
    assert body == {
        "model": "llama3",
        "max_tokens": 8,
        "temperature": 1,
        "messages": [{"role": "user", "content": "hi"}],
    }


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"custom_id": ""}, "custom_id must be a text that is not empty"),
        ({"custom_id": 5}, "custom_id must be a text that is not empty"),
        ({"method": "GET"}, "method must be POST"),
        ({"url": "/v1/embeddings"}, "url must be /v1/chat/completions, as the job's type says"),
        ({"body": "x"}, "body must be an object"),
        ({"body": {}}, "body has no messages, which /v1/chat/completions needs"),
        (
            {"body": {"messages": []}},
            "body.messages must be a list with at least one message, not a list that is empty",
        ),
        ({"body": {"messages": [], "stream": True}}, "body.stream must not be true: a batch's answers are whole"),
    ],
)
def test_a_batch_line_is_checked_field_by_field(fields: dict[str, Any], want: str) -> None:
    with pytest.raises(RecordError) as caught:
        make_builder(record_format="openai-batch").build(make_line(**fields))
    assert str(caught.value) == want


@pytest.mark.parametrize(
    ("record", "want"),
    [({}, "record-8"), ({"custom_id": "mine"}, "mine"), ({"custom_id": 5}, "5"), ({"custom_id": None}, "record-8")],
)
def test_a_record_is_named_by_itself_or_by_its_number(record: dict[str, Any], want: str) -> None:
    assert make_builder().custom_id(record, 7) == want


@pytest.mark.parametrize("field", ["template", "system"])
def test_a_template_that_does_not_compile_is_told_with_its_field(field: str) -> None:
    with pytest.raises(TemplateError, match=f"^spec.prompt.{field}: line 1: "):
        make_builder(**{field: "{{ a "})  # type: ignore[arg-type]


def test_a_worker_builds_from_its_order_what_was_validated() -> None:
    order = WorkOrder(
        namespace="team",
        job="triage",
        uid="u",
        type="completion",
        model="llama3",
        endpoint="http://smol.team.svc",
        prompt=Prompt(template="Q: {{ q }}"),
        parameters={"max_tokens": 8},
        format="jsonl",
        records=[{"q": "why"}],
        concurrency=1,
        retry=Retry(),
        request_timeout_seconds=1,
        spec_hash="h",
    )
    want = {"model": "llama3", "prompt": "Q: why", "max_tokens": 8}
    assert RequestBuilder.for_order(order).build(order.records[0]) == want

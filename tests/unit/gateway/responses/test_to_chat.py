"""A Responses request in chat's words: nothing is lost, and what cannot be done is refused by name."""

from typing import Any

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.responses.to_chat import chat_request


def translated(**fields: Any) -> dict[str, Any]:
    return chat_request({"model": "llama", "input": "Hi", **fields})


def messages(*items: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = translated(input=list(items), **fields)["messages"]
    return found


def refusal(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        translated(**fields)
    assert caught.value.status == 400
    assert caught.value.param
    assert caught.value.param in caught.value.message
    return caught.value


def test_a_text_is_what_the_user_says() -> None:
    assert translated() == {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}


def test_instructions_come_first() -> None:
    assert translated(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_instructions_and_developer_messages_are_one_system_message() -> None:
    found = messages(
        {"role": "developer", "content": "Rhyme."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        instructions="Be brief.",
    )

    assert found == [{"role": "system", "content": "Be brief.\n\nRhyme."}, {"role": "user", "content": "Hi"}]


def test_a_conversation_with_calls_keeps_its_turns() -> None:
    found = messages(
        {"role": "user", "content": "Weather in Rome and Oslo?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I will look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city":"Rome"}'},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "a", "output": "warm"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "cold"}]},
        {"type": "function_call", "call_id": "c", "name": "clock", "arguments": "{}"},
    )

    def tool_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    assert found == [
        {"role": "user", "content": "Weather in Rome and Oslo?"},
        {
            "role": "assistant",
            "content": "I will look.",
            "tool_calls": [
                tool_call("a", "weather", '{"city":"Rome"}'),
                tool_call("b", "weather", '{"city":"Oslo"}'),
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        {"role": "tool", "tool_call_id": "b", "content": "cold"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("c", "clock", "{}")]},
    ]


def test_images_files_and_sound() -> None:
    found = messages(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        }
    )

    assert found[0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_an_earlier_refusal_is_what_the_assistant_said() -> None:
    found = messages({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})

    assert found == [{"role": "assistant", "content": "No."}]


def test_tools_are_nested() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    weather = {"type": "function", "name": "weather", "description": "d", "parameters": parameters, "strict": True}

    found = translated(
        tools=[weather, {"type": "function", "name": "clock", "parameters": None, "strict": None}],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
    )

    assert found["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "d", "parameters": parameters, "strict": True},
        },
        {"type": "function", "function": {"name": "clock"}},
    ]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert found["parallel_tool_calls"] is False


def test_only_allowed_tools_are_shown() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}

    found = translated(tools=[{"type": "function", "name": name} for name in "abc"], tool_choice=allowed)

    assert found["tools"] == [{"type": "function", "function": {"name": "b"}}]
    assert found["tool_choice"] == "required"


def test_a_choice_of_no_tools_is_not_sent() -> None:
    assert translated(tools=[], tool_choice="auto", parallel_tool_calls=True) == translated()


@pytest.mark.parametrize(
    ("field", "chat"),
    [
        ({"max_output_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"presence_penalty": 1, "frequency_penalty": 0.1}, {"presence_penalty": 1, "frequency_penalty": 0.1}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, translated(stream=True)),
        ({"stream": False}, {}),
        ({"user": "u-1"}, {"user": "u-1"}),
        ({"metadata": {"a": "b"}, "store": True, "truncation": "auto", "service_tier": "flex"}, {}),
        ({"seed": 7, "top_k": 20, "stop": ["\n"]}, {"seed": 7, "top_k": 20, "stop": ["\n"]}),
        ({"n": 3, "messages": [], "max_tokens": 1}, {}),
        ({"background": False, "previous_response_id": None, "temperature": None, "tools": None}, {}),
    ],
)
def test_a_field_in_chat(field: dict[str, Any], chat: dict[str, Any]) -> None:
    assert translated(**field) == translated() | chat


def test_a_json_schema() -> None:
    schema = {"type": "object", "properties": {}}

    found = translated(text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}})

    assert found["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": schema, "strict": True},
    }


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "Hi"}, fields]}


def part(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [fields]}]}


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"tools": [{"type": "function", "name": "a"}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        (item(type="item_reference", id="msg_1"), "input[1].type"),
        (item(type="web_search_call", id="ws_1"), "input[1].type"),
        (part(type="input_image", file_id="f"), "input[0].content[0].file_id"),
        (part(type="input_file", file_url="http://x"), "input[0].content[0].file_url"),
        (part(type="input_video"), "input[0].content[0].type"),
    ],
)
def test_what_needs_more_than_chat_is_refused(field: dict[str, Any], param: str) -> None:
    error = refusal(**field)

    assert (error.param, error.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"instructions": ["Hi"]}, "instructions"),
        (item(type=5), "input[1].type"),
        (item(content="Hi"), "input[1].role"),
        (item(role="robot", content="Hi"), "input[1].role"),
        (item(role="user"), "input[1].content"),
        (item(role="user", content=[5]), "input[1].content[0]"),
        (item(role="user", content=[{"text": "Hi"}]), "input[1].content[0].type"),
        (item(role="user", content=[{"type": "input_text"}]), "input[1].content[0].text"),
        (item(type="function_call", call_id="a", name="f", arguments={}), "input[1].arguments"),
        (item(type="function_call_output", call_id=5, output="x"), "input[1].call_id"),
        (item(type="function_call_output", call_id="a"), "input[1].output"),
        ({"max_output_tokens": "5"}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": False}, "top_p"),
        ({"top_logprobs": 1.5}, "top_logprobs"),
        ({"include": "logprobs"}, "include"),
        ({"include": [1]}, "include[0]"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "a", "parameters": "x"}]}, "tools[0].parameters"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": ["auto"]}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"store": 1}, "store"),
        ({"background": "no"}, "background"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"user": 5}, "user"),
    ],
)
def test_a_wrong_type_is_named(field: dict[str, Any], param: str) -> None:
    error = refusal(**field)

    assert (error.param, error.code) == (param, "invalid_type")


def test_a_request_without_input_says_so() -> None:
    with pytest.raises(RequestError) as caught:
        chat_request({"model": "llama"})

    assert (caught.value.param, caught.value.code) == ("input", "missing_input")


def test_a_refused_value_is_not_quoted() -> None:
    error = refusal(input=[{"role": "my secret", "content": "Hi"}])

    assert "my secret" not in error.message

"""A field of OpenAI's request, and what becomes of it at each provider that has another API."""

from typing import Any

import pytest

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.anthropic.request import DEFAULT_MAX_TOKENS
from splai.providers.errors import RequestError
from splai.providers.gemini.request import UNSIGNED
from tests.unit.providers.translating import USER, translated

PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
    {"id": "c2", "type": "function", "function": {"name": "hear", "arguments": ""}},
]


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {"max_tokens": DEFAULT_MAX_TOKENS}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0, "top_p": 0.5, "top_k": 3}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"]}),
        ({"stream": True}, {"stream": True}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"tools": [TOOL]}, {"tools": [{"name": "look", "input_schema": {"type": "object"}}]}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
            {"tool_choice": {"type": "tool", "name": "look"}},
        ),
        (
            {"tools": [TOOL], "parallel_tool_calls": False},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
        ({"n": 1, "logprobs": False, "presence_penalty": 0, "seed": None, "store": True}, {}),
        (
            {"messages": [image("https://example.org/a.png")]},
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}],
                    }
                ]
            },
        ),
    ],
)
def test_anthropic_is_sent(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    body = translated("Anthropic", **fields)

    assert body["model"] == "theirs"
    assert sent.items() <= body.items()
    known = {"model", "messages", "max_tokens", "system", "stop_sequences", "stream", "metadata", "tools"}
    assert body.keys() <= known | {"tool_choice", "output_config", "temperature", "top_p", "top_k"}


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"max_tokens": 7}, {"maxOutputTokens": 7}),
        ({"temperature": 0, "top_p": 0.5, "seed": 3}, {"temperature": 0, "topP": 0.5, "seed": 3}),
        ({"presence_penalty": 1, "frequency_penalty": 0.5}, {"presencePenalty": 1, "frequencyPenalty": 0.5}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_gemini_is_sent_settings(fields: dict[str, Any], settings: dict[str, Any]) -> None:
    assert translated("Gemini", **fields)["generationConfig"] == settings


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "look"}}, {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_gemini_is_told_the_choice_of_a_tool(choice: Any, calling: dict[str, Any]) -> None:
    body = translated("Gemini", tools=[TOOL], tool_choice=choice)

    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert body["tools"] == [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": {"type": "object"}}]}]


def test_instructions_are_joined_wherever_they_stand() -> None:
    messages = [
        {"role": "system", "content": "A."},
        USER,
        {"role": "developer", "content": [{"type": "text", "text": "B."}]},
    ]

    assert translated("Anthropic", messages=messages)["system"] == "A.\n\nB."
    assert translated("Gemini", messages=messages)["systemInstruction"] == {"parts": [{"text": "A.\n\nB."}]}


PARALLEL: list[Any] = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "c1", "content": "a tree"},
    {"role": "tool", "tool_call_id": "c2", "content": '{"sound": "wind"}'},
    {"role": "user", "content": "So?"},
]


def test_results_of_parallel_calls_are_one_turn_of_the_user_at_anthropic() -> None:
    user, assistant, results = translated("Anthropic", messages=PARALLEL, tools=[TOOL])["messages"]

    assert user == {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    assert assistant["content"] == [
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "c2", "name": "hear", "input": {}},
    ]
    assert results["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "a tree"},
        {"type": "tool_result", "tool_use_id": "c2", "content": '{"sound": "wind"}'},
        {"type": "text", "text": "So?"},
    ]


def test_results_of_parallel_calls_are_one_turn_of_the_user_at_gemini() -> None:
    _, model, results = translated("Gemini", messages=PARALLEL, tools=[TOOL])["contents"]

    assert model["parts"] == [
        {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": UNSIGNED},
        {"functionCall": {"id": "c2", "name": "hear", "args": {}}},
    ]
    assert results["parts"] == [
        {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "a tree"}}},
        {"functionResponse": {"id": "c2", "name": "hear", "response": {"sound": "wind"}}},
        {"text": "So?"},
    ]


def test_an_image_in_the_request_is_shown() -> None:
    (anthropic,) = translated("Anthropic", messages=[image(PIXEL)])["messages"][0]["content"]
    (gemini,) = translated("Gemini", messages=[image(PIXEL)])["contents"][0]["parts"]

    assert anthropic["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert gemini == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


BOTH: tuple[ProviderName, ...] = ("Anthropic", "Gemini")
AUDIO = {"role": "user", "content": [{"type": "input_audio"}]}
BROKEN_CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": "{"}}]}
ORPHAN = {"role": "tool", "tool_call_id": "c9", "content": "x"}
REFUSED_BY_BOTH: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"logit_bias": {"1": 2}}, "logit_bias"),
    ({"modalities": ["audio"]}, "modalities"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
    ({"tools": [{"type": "custom"}]}, "tools[0].type"),
    ({"tools": {"a": 1}}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
    ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    ({"stop": 3}, "stop"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"messages": []}, "messages"),
    ({"messages": ["Hi"]}, "messages[0]"),
    ({"messages": [{"role": "narrator", "content": ""}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [AUDIO]}, "messages[0].content[0].input_audio"),
    ({"messages": [image("data:image/png,x")]}, "messages[0].content[0].image_url.url"),
    ({"messages": [BROKEN_CALL]}, "messages[0].tool_calls[0].function.arguments"),
]


@pytest.mark.parametrize(
    ("name", "fields", "param"),
    [
        *((name, *refused) for name in BOTH for refused in REFUSED_BY_BOTH),
        ("Anthropic", {"seed": 1}, "seed"),
        ("Anthropic", {"presence_penalty": 0.1}, "presence_penalty"),
        ("Anthropic", {"response_format": {"type": "json_object"}}, "response_format"),
        ("Gemini", {"parallel_tool_calls": False}, "parallel_tool_calls"),
        ("Gemini", {"messages": [image("https://example.org/a.png")]}, "messages[0].content[0].image_url.url"),
        ("Gemini", {"messages": [USER, ORPHAN]}, "messages[1].tool_call_id"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(name: ProviderName, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        translated(name, **fields)

    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message.startswith(param)


def test_openais_own_api_gets_everything_but_its_own_name_of_the_model() -> None:
    fields: dict[str, Any] = {"a_field_of_tomorrow": {"x": [1]}, "n": 3}

    assert translated("OpenAI", **fields) == {"model": "theirs", "messages": [USER], **fields}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_tokens": 7}, {"max_completion_tokens": 7}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_completion_tokens": 9}),
    ],
)
def test_openai_itself_is_told_the_limit_by_the_name_that_all_its_models_know(
    given: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert translated("OpenAI", **given) == {"model": "theirs", "messages": [USER], **sent}

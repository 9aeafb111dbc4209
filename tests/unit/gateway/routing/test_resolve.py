"""What the model ``auto`` stands for."""

from typing import Any

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.routing.observed import Backend, Policy
from splai.gateway.routing.resolve import Choice, asks_for_choice, capability_of, last_user_text, resolve
from splai.gateway.routing.routes import RouteTable, build_routes


def table(*backends: tuple[str, dict[str, Any]]) -> RouteTable:
    """Of backends of one namespace, the oldest first: (model id, policy)."""
    return build_routes(
        [Backend("a", f"b{age}", age, model, (), Policy(**policy)) for age, (model, policy) in enumerate(backends)], []
    )


THREE = table(
    ("qwen-coder", {"capabilities": ("code",)}),
    ("llama3.1:8b", {"capabilities": ("chat",)}),
    ("llama2-13b-vllm", {"capabilities": ("high_volume", "chat")}),
)


def chosen(choice: Choice) -> tuple[str, str | None]:
    return choice.pool.name.removeprefix("a/"), choice.capability


# The rule table of the SmartModelSelector pattern.
@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("Write a function that adds", "code"),
        ("a CLASS of its own", "code"),
        ("please Implement it", "code"),
        ("review this code", "code"),
        ("is programming hard?", "code"),
        ("What is the capital of France?", "chat"),
        ("", "chat"),
    ],
)
def test_what_a_text_is_about(text: str, capability: str) -> None:
    assert capability_of(text) == capability


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"text": "implement quicksort"}, ("qwen-coder", "code")),
        ({"text": "hello"}, ("llama3.1:8b", "chat")),
        ({"text": "implement quicksort", "asked": "high_volume"}, ("llama2-13b-vllm", "high_volume")),
        ({"asked": "no-such-thing"}, ("llama3.1:8b", "chat")),
    ],
)
def test_auto_is_who_has_the_capability(request_: dict[str, str], expected: tuple[str, str]) -> None:
    assert chosen(resolve(THREE, "auto", **request_)) == expected


def test_a_capability_may_be_part_of_the_name() -> None:
    assert chosen(resolve(THREE, "auto:high_volume", text="code", asked="chat")) == ("llama2-13b-vllm", "high_volume")


def test_the_oldest_of_those_that_have_it_is_taken() -> None:
    two = table(("old", {"capabilities": ("chat",)}), ("new", {"capabilities": ("chat",)}))

    assert chosen(resolve(two, "auto")) == ("old", "chat")


def test_a_default_comes_before_older_ones() -> None:
    two = table(("old", {"capabilities": ("chat",)}), ("new", {"capabilities": ("chat",), "default": True}))

    assert chosen(resolve(two, "auto")) == ("new", "chat")


def test_a_default_answers_what_nobody_is_there_for() -> None:
    two = table(("coder", {"capabilities": ("code",)}), ("any", {"default": True}))

    assert chosen(resolve(two, "auto", text="hello")) == ("any", None)


def test_without_one_the_error_names_the_capabilities_that_there_are() -> None:
    with pytest.raises(RequestError) as refused:
        resolve(table(("coder", {"capabilities": ("code", "math")})), "auto", text="hello")

    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    assert refused.value.message == (
        "No ModelBackend has the capability 'chat', and none is the default. Capabilities: code, math"
    )


def test_a_backend_that_serves_the_id_auto_keeps_it() -> None:
    own = table(("auto", {}), ("coder", {"capabilities": ("code",)}))

    assert not asks_for_choice(own, "auto")
    assert chosen(resolve(own, "auto", text="code")) == ("auto", None)


def test_any_other_name_is_the_model_itself() -> None:
    assert chosen(resolve(THREE, "qwen-coder", asked="chat")) == ("qwen-coder", None)


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match=r"Models: auto, llama2-13b-vllm, llama3\.1:8b, qwen-coder") as refused:
        resolve(THREE, "automatic")

    assert refused.value.param == "model"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            {"messages": [{"role": "user", "content": "first"}, {"role": "assistant", "content": "code"}]},
            "first",
        ),
        ({"messages": [{"role": "user", "content": "first"}, {"role": "user", "content": "last"}]}, "last"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
            "a",
        ),
        ({"messages": [{"role": "user", "content": None}, "odd", 5]}, "odd"),
        ({"messages": [{"role": "system", "content": "code"}]}, ""),
        ({"prompt": "complete me"}, "complete me"),
        ({"prompt": ["one", "two"]}, "two"),
        ({"prompt": [1, 2, 3]}, ""),
        ({"input": "respond"}, "respond"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "respond"}]}]}, "respond"),
        ({"messages": "wrong"}, "wrong"),
        ({}, ""),
    ],
)
def test_the_last_text_of_the_user(document: dict[str, Any], text: str) -> None:
    assert last_user_text(document) == text

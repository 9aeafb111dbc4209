"""Client libraries against the gateway: what each shows its user, and what reached the engine.

Each client is a program of its own in an environment of its own (``programs/``, ``environments/``), written as its
users write it. A test is a row that all clients with the feature share.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.integration.clients.client_programs import COMMANDS, ClientRun
from tests.integration.clients.recording_engine import ANSWER, EMBEDDING, RETRY_AFTER_SECONDS, USAGE, WORDS

RunOf = Callable[[str], ClientRun]

ALL = tuple(COMMANDS)
LIBRARIES = tuple(client for client in ALL if client != "fetch")
OPENAI_PYTHON = ("openai-floor", "openai-newest")
OPENAI = (*OPENAI_PYTHON, "openai-node")
WITH_RESPONSES = (*OPENAI, "langchain-openai")
WITH_AN_EMPTY_MODEL = tuple(client for client in LIBRARIES if client != "litellm")  # which sends no request

each = pytest.mark.parametrize("client", ALL)
each_library = pytest.mark.parametrize("client", LIBRARIES)
each_of_openais = pytest.mark.parametrize("client", OPENAI)
each_openai_python = pytest.mark.parametrize("client", OPENAI_PYTHON)

WEATHER = {"name": "get_weather", "arguments": {"city": "Paris"}}


@each
def test_a_chat_reaches_the_engine_with_its_roles_and_parameters(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    model = "llama3.1:8b" if client == "fetch" else "llama3-8b-q4"
    assert run.saw("chat") == {"text": ANSWER, "model": model, "tokens": USAGE["total_tokens"]}
    (request,) = run.asked("chat")
    assert [message["role"] for message in request.body["messages"]] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in request.body["messages"]] == ["Be brief.", "Hi", "Hello.", "chat"]
    assert request.body["temperature"] == 0.25
    assert request.body.get("max_tokens", request.body.get("max_completion_tokens")) == 32
    assert request.body["model"] == "llama3-8b-q4"


@each
def test_a_stream_comes_in_pieces(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("stream") == {"pieces": list(WORDS)}


@each
def test_a_stream_that_an_engine_writes_badly_comes_in_pieces_too(run_of: RunOf, client: str) -> None:
    """With CRLF, without the space after ``data:``, and in network reads that end anywhere."""
    assert run_of(client).saw("torn_stream") == {"pieces": list(WORDS)}


@each_library
def test_tools_reach_the_engine_and_their_calls_come_back(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    assert run.saw("tools") == {**WEATHER, "answer": ANSWER}
    first, second = run.asked("tools")
    (offered,) = first.body["tools"]
    assert offered["function"]["name"] == "get_weather"
    assert list(offered["function"]["parameters"]["properties"]) == ["city"]
    assert [message["role"] for message in second.body["messages"]] == ["user", "assistant", "tool"]
    assert second.body["messages"][1]["tool_calls"][0]["id"] == second.body["messages"][2]["tool_call_id"] == "call_1"


@each_library
def test_tool_calls_come_back_in_a_stream(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("streamed_tools") == WEATHER


@each_library
def test_embeddings_in_the_clients_own_encoding(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("embeddings") == {"vectors": [list(EMBEDDING)] * 2}


@each_openai_python
def test_embeddings_as_numbers(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("embeddings_as_numbers") == {"vectors": [list(EMBEDDING)]}


@each_openai_python
def test_an_alias_and_any_key_will_do(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    assert run.saw("chat_with_an_alias") == {"text": ANSWER, "model": "gpt-4-mini"}
    assert run.asked("alias")[0].body["model"] == "llama3-8b-q4"


@each_openai_python
def test_completions(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("completion") == {"text": ANSWER}


@each_openai_python
def test_usage_at_the_end_of_a_stream_for_those_who_ask(run_of: RunOf, client: str) -> None:
    assert run_of(client).saw("stream_with_usage") == {"tokens": USAGE["total_tokens"], "choices": 0}


@each_openai_python
def test_models_are_listed(run_of: RunOf, client: str) -> None:
    saw = run_of(client).saw("models")

    assert {"llama3-8b-q4", "llama3.1:8b", "gpt-4-mini", "qwen-coder"} <= set(saw["ids"])
    assert saw["one"] == "llama3-8b-q4"


@pytest.mark.parametrize("client", WITH_RESPONSES)
def test_a_response(run_of: RunOf, client: str) -> None:
    saw = run_of(client).saw("responses")

    assert saw == {"text": ANSWER, "status": "completed", "tokens": USAGE["total_tokens"]}


@each_of_openais
def test_a_streamed_response(run_of: RunOf, client: str) -> None:
    saw = run_of(client).saw("streamed_responses")

    assert saw["text"] == ANSWER
    assert saw["pieces"] == list(WORDS)
    assert [kind for kind in saw["types"] if not kind.endswith(".delta")] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@each_of_openais
def test_a_response_with_tools(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    assert run.saw("responses_with_tools") == {**WEATHER, "answer": ANSWER}
    first, second = run.asked("responses with tools")
    assert first.body["tools"][0]["function"]["name"] == "get_weather"
    assert [message["role"] for message in second.body["messages"]] == ["user", "assistant", "tool"]


@each_library
def test_an_unknown_model_is_not_found(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    raised = run.raised("unknown_model")
    assert raised["status"] == 404
    assert "NotFoundError" in raised["types"]
    assert "nobody" in raised["message"]
    if client != "litellm":  # whose exceptions have no code
        assert (raised["code"], raised["param"]) == ("model_not_found", "model")
    assert run.of_model("nobody") == []


@pytest.mark.parametrize("client", WITH_AN_EMPTY_MODEL)
def test_a_request_that_names_no_model_is_told_so(run_of: RunOf, client: str) -> None:
    raised = run_of(client).raised("no_model")

    assert (raised["status"], raised["param"]) == (400, "model")
    assert "BadRequestError" in raised["types"]


@each_library
def test_what_an_engine_refuses_is_told_in_its_own_words(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    raised = run.raised("refused_parameter")
    assert raised["status"] == 400
    assert "BadRequestError" in raised["types"]
    assert "`temperature` must be at most 2" in raised["message"]
    if client != "litellm":
        assert (raised["code"], raised["param"]) == ("invalid_value", "temperature")
    assert len(run.of_model(f"picky:{client}")) == 1


@each_library
def test_a_busy_engine_is_a_rate_limit_after_retries_no_sooner_than_it_asked(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    raised = run.raised("too_many_requests")
    assert raised["status"] == 429
    assert "RateLimitError" in raised["types"]
    assert _pauses(run, f"busy:{client}") >= RETRY_AFTER_SECONDS


@each_library
def test_an_engine_that_is_busy_once_is_asked_again(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    assert run.saw("recovery") == {"text": ANSWER}
    assert len(run.of_model(f"recovering:{client}")) == 2
    assert _pauses(run, f"recovering:{client}") >= RETRY_AFTER_SECONDS


@each_library
def test_an_engine_that_is_unavailable_is_a_servers_error_after_retries(run_of: RunOf, client: str) -> None:
    run = run_of(client)

    raised = run.raised("unavailable")
    assert raised["status"] == 503
    assert {"InternalServerError", "ServiceUnavailableError"} & set(raised["types"])  # the second is LiteLLM's
    _pauses(run, f"unavailable:{client}")


@each_library
def test_a_stream_that_is_cut_raises(run_of: RunOf, client: str) -> None:
    saw = run_of(client).saw("cut_stream")

    assert saw["raised"] is not None
    assert saw["finish"] is None
    assert saw["pieces"] == list(WORDS)[: len(saw["pieces"])]
    assert 0 < len(saw["pieces"]) < len(WORDS)


def _pauses(run: ClientRun, model: str) -> float:
    """The shortest pause between two tries, in seconds; tries are those of the client and the gateway together.

    There are two or three: a client's retries are not multiplied by the gateway's.
    """
    tries = [request.at for request in run.of_model(model)]
    assert len(tries) in (2, 3)
    return min(after - before for before, after in pairwise(tries))

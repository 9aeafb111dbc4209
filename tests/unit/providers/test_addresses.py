"""Where requests go, and as whom."""

from typing import Any

import pytest

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.protocol import CHAT, EMBEDDINGS
from splai.providers.selection import provider
from tests.unit.providers.translating import IDENTITY, USER


@pytest.mark.parametrize(
    ("name", "options", "url"),
    [
        ("OpenAI", {}, "https://api.openai.com/v1/chat/completions"),
        ("OpenAICompatible", {"base_url": "http://vllm:8000"}, "http://vllm:8000/v1/chat/completions"),
        ("OpenAICompatible", {"base_url": "http://vllm:8000/"}, "http://vllm:8000/v1/chat/completions"),
        ("OpenAICompatible", {"base_url": "http://a/v1/"}, "http://a/v1/chat/completions"),
        ("OpenAICompatible", {"base_url": "https://a/openai/v3"}, "https://a/openai/v3/chat/completions"),
        ("Anthropic", {}, "https://api.anthropic.com/v1/messages"),
        ("Anthropic", {"base_url": "https://proxy/anthropic/v1"}, "https://proxy/anthropic/v1/messages"),
        ("Gemini", {}, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
        (
            "Gemini",
            {"model": "tunedModels/t"},
            "https://generativelanguage.googleapis.com/v1beta/tunedModels/t:generateContent",
        ),
        ("Gemini", {"model": "models/m"}, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
        (
            "AzureOpenAI",
            {"base_url": "https://r.openai.azure.com", "deployment": "d"},
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "AzureOpenAI",
            {"base_url": "https://r.openai.azure.com", "deployment": "d", "api_version": "2024-10-21"},
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_a_chat_goes_to(name: ProviderName, options: dict[str, Any], url: str) -> None:
    found = provider(name, **{"model": "m", **options})
    exchange = found.exchange(CHAT, {"model": "x", "messages": [USER]}, IDENTITY)

    assert found.base_url + exchange.path == url


def test_streams_and_embeddings_of_gemini_have_methods_of_their_own() -> None:
    gemini = provider("Gemini", model="m")
    streamed = gemini.exchange(CHAT, {"messages": [USER], "stream": True}, IDENTITY)
    embedded = gemini.exchange(EMBEDDINGS, {"input": "a"}, IDENTITY)

    assert streamed.path == "/models/m:streamGenerateContent?alt=sse"
    assert embedded.path == "/models/m:batchEmbedContents"


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("OpenAI", {"Authorization": "Bearer k"}),
        ("OpenAICompatible", {"Authorization": "Bearer k"}),
        ("AzureOpenAI", {"api-key": "k"}),
        ("Anthropic", {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
        ("Gemini", {"x-goog-api-key": "k"}),
    ],
)
def test_the_key_is_shown_as_the_provider_wants_it(name: ProviderName, headers: dict[str, str]) -> None:
    found = provider(name, model="m", base_url="https://a", deployment="d")

    assert found.headers("k") == headers
    assert "k" not in found.headers(None).values()

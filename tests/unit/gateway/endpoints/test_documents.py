"""What the gateway says of itself holds: links answer, the OpenAPI document and the routes name the same."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from splai.api.openai_chat import ModelInfo, ModelsResponse, OpenAIError
from splai.gateway.endpoints.documents import Branding
from tests.unit.gateway.endpoints.conftest import Cold

SUPPORT_DESK = Branding("Support Desk IT Service Agent", "OpenAI-compatible API for IT support chatbot training")


async def test_the_root_document() -> None:
    reply = await Cold(branding=SUPPORT_DESK).get("/v1/")

    document = reply.json()
    assert document["name"] == "Support Desk IT Service Agent API"
    assert document["description"] == SUPPORT_DESK.description
    assert {key: value for key, value in document.items() if key not in ("name", "description", "version")} == {
        "links": {
            "self": {"href": "/v1/", "method": "GET"},
            "models": {"href": "/v1/models", "method": "GET", "description": "List available AI models"},
            "chat": {"href": "/v1/chat/completions", "method": "POST", "description": "Create chat completion"},
            "docs": {"href": "/docs", "method": "GET", "description": "Interactive API documentation"},
        },
        "capabilities": {"streaming": True, "openai_compatible": True, "workflow_based": True},
        "supported_formats": {"request": "application/json", "response": ["application/json", "text/event-stream"]},
    }


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
async def test_every_link_leads_somewhere(cold: Cold, prefix: str) -> None:
    for link in (await cold.get(f"{prefix}/")).json()["links"].values():
        allowed = (await cold.call("OPTIONS", link["href"])).headers["Allow"]

        assert link["method"] in allowed


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
async def test_the_root_without_its_slash_is_a_redirect(cold: Cold, prefix: str) -> None:
    reply = await cold.get(f"{prefix}?a=b")

    assert reply.status_code == 307
    assert reply.headers["Location"] == f"{prefix}/?a=b"


async def test_the_openapi_document_carries_the_branding_and_the_one_version() -> None:
    cold = Cold(branding=SUPPORT_DESK)

    document = (await cold.get("/openapi.json")).json()

    version = (await cold.get("/v1/")).json()["version"]
    assert document["info"] == {
        "title": SUPPORT_DESK.title,
        "description": SUPPORT_DESK.description,
        "version": version,
    }


async def test_the_typed_models_are_components(cold: Cold) -> None:
    schemas = (await cold.get("/openapi.json")).json()["components"]["schemas"]

    expected = {
        "ChatCompletionRequest",
        "ModelsResponse",
        "ModelInfo",
        "OpenAIError",
        "ChatCompletionResponse",
        "ChatCompletionChoice",
        "ChatMessage",
    }
    assert expected <= schemas.keys()


async def test_every_reference_has_a_target(cold: Cold) -> None:
    document = (await cold.get("/openapi.json")).json()

    for reference in references(document):
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_the_document_names_every_route_once_and_no_other(cold: Cold) -> None:
    described = {
        (path, method.upper())
        for path, methods in (await cold.get("/openapi.json")).json()["paths"].items()
        for method in methods
    }

    routes = [route.path_format for route in cold.application.routes if isinstance(route, Route)]
    shown = [path for path in routes if not path.startswith("/v1/openai") and path != "/v1"]
    assert {path for path, _ in described} == set(shown)
    for path, method in described:
        assert method in (await cold.call("OPTIONS", path)).headers["Allow"]


async def test_replies_are_what_the_document_says(cold: Cold) -> None:
    cold.serve("llama")

    ModelsResponse.model_validate((await cold.get("/v1/models")).json())
    ModelInfo.model_validate((await cold.get("/v1/models/llama")).json())
    OpenAIError.model_validate((await cold.get("/v1/models/nobody")).json())


async def test_the_docs_page_needs_nothing_but_this_server(cold: Cold) -> None:
    page = await cold.get("/docs")

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'fetch("openapi.json")' in page.text
    assert not re.search(r"(src|href)=\"?(https?:)?//", page.text)
    assert "innerHTML" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'sha256-")

"""`/openapi.json`: OpenAPI 3.1 of all that the gateway answers, the hot paths included."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from splai.api.openai_chat import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    ModelInfo,
    ModelsResponse,
    OpenAIError,
)
from splai.gateway.endpoints.schemas import (
    COMPONENTS,
    CompletionRequest,
    EmbeddingRequest,
    HealthReport,
    ResponseRequest,
)

_Operation = dict[str, Any]


def openapi_document(title: str, description: str, version: str) -> dict[str, Any]:
    """The document; its schemas come from the pydantic models of ``schemas``."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in COMPONENTS], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version},
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "responses": {"Error": {"description": "An error", **_content(OpenAIError)}},
        },
    }


def _paths() -> dict[str, Any]:
    chat = _inference("Create chat completion", ChatCompletionRequest, ChatCompletionResponse, stream=True)
    job = "/v1/artifacts/{namespace}/{uid}"
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/completions": {"post": _inference("Create completion", CompletionRequest, stream=True)},
        "/v1/embeddings": {"post": _inference("Create embeddings", EmbeddingRequest)},
        "/v1/responses": {"post": _inference("Create response", ResponseRequest, stream=True)},
        "/v1/models": {"get": _get("models", "List available AI models", ModelsResponse)},
        "/v1/models/{model}": {"get": _get("models", "Show a model", ModelInfo, parameters=("model",))},
        **{f"{job}/{file}": {"get": _artifact(f"Fetch {what} of a job", suffix)} for file, what, suffix in _FILES},
        **{
            f"{job}/tasks/{{task}}/{file}": {"get": _artifact(f"Fetch {what} of a task", suffix, "task")}
            for file, what, suffix in _FILES
            if suffix == "jsonl"
        },
        "/v1/": {"get": _get("gateway", "Say what this API is, with links")},
        "/health": {"get": _get("gateway", "Report on the gateway's parts; always 200", HealthReport)},
        "/healthz": {"get": _get("gateway", "Answer a liveness probe")},
        "/readyz": {"get": _get("gateway", "Answer a readiness probe")},
        "/v1/metrics/prometheus": {"get": _get("gateway", "Show metrics", media_type="text/plain")},
        "/openapi.json": {"get": _get("gateway", "Show this document")},
        "/docs": {"get": _get("gateway", "Show interactive API documentation", media_type="text/html")},
    }


_FILES = (
    ("output.jsonl", "the results", "jsonl"),
    ("errors.jsonl", "the errors", "jsonl"),
    ("output.parquet", "the results as columns", "parquet"),
    ("errors.parquet", "the errors as columns", "parquet"),
)
_MEDIA_TYPES = {"jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}


def _inference(
    summary: str, request: type[BaseModel], answer: type[BaseModel] | None = None, *, stream: bool = False
) -> _Operation:
    content = _content(answer)["content"]
    if stream:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "tags": ["inference"],
        "summary": summary,
        "requestBody": {"required": True, **_content(request)},
        "responses": _responses(content),
    }


def _get(
    tag: str,
    summary: str,
    answer: type[BaseModel] | None = None,
    *,
    media_type: str = "application/json",
    parameters: tuple[str, ...] = (),
) -> _Operation:
    operation: _Operation = {
        "tags": [tag],
        "summary": summary,
        "responses": _responses(_content(answer, media_type)["content"]),
    }
    if parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ]
    return operation


def _artifact(summary: str, suffix: str, *parameters: str) -> _Operation:
    media_type = _MEDIA_TYPES[suffix]
    return _get("artifacts", summary, media_type=media_type, parameters=("namespace", "uid", *parameters))


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "200": {"description": "The answer", "content": content},
        "default": {"$ref": "#/components/responses/Error"},
    }


def _content(model: type[BaseModel] | None, media_type: str = "application/json") -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"} if model else {}
    return {"content": {media_type: {"schema": schema}}}

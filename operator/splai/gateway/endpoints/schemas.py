"""The objects of the API as ``/openapi.json`` shows them.

Requests are not validated by them: the gateway passes on what an engine may know and we do not, so fields beyond
these are always allowed. Names and fields are OpenAI's.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


class ChatMessage(_Object):
    """A message of a conversation."""

    role: str = Field(examples=["system", "user", "assistant", "tool"])
    content: str | list[dict[str, Any]] | None = Field(default=None, description="Text, or parts of text and images.")
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ChatCompletionRequest(_Object):
    """A conversation to be continued; parameters that are not listed here go to the engine as they are."""

    model: str = Field(description="An id of `/v1/models`, `namespace/id`, or `auto`.")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    stream_options: dict[str, Any] | None = Field(default=None, examples=[{"include_usage": True}])
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None


class Usage(_Object):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int | None = None


class ChatCompletionChoice(_Object):
    """One continuation."""

    index: int
    message: ChatMessage
    finish_reason: str | None = Field(default=None, examples=["stop", "length", "tool_calls", "content_filter"])


class ChatCompletionResponse(_Object):
    """The whole answer of a request that does not stream."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[ChatCompletionChoice]
    usage: Usage | None = None


class CompletionRequest(_Object):
    """A text to be continued."""

    model: str
    prompt: str | list[str] | list[int] | list[list[int]]
    stream: bool = False
    max_tokens: int | None = None


class EmbeddingRequest(_Object):
    """Texts to be embedded."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None


class ResponseRequest(_Object):
    """A request of the Responses API."""

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool = False


class ModelInfo(_Object):
    """A name that can be asked for."""

    id: str
    object: Literal["model"]
    created: int = Field(description="Unix seconds.")
    owned_by: str = Field(description="The namespace of its ModelBackend.")


class ModelsResponse(_Object):
    """All names that can be asked for."""

    object: Literal["list"]
    data: list[ModelInfo]


class ErrorObject(_Object):
    """What went wrong; engines may add fields of their own."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(_Object):
    """Every error of the API."""

    error: ErrorObject
    detail: str = Field(description="The message once more.")


class HealthChecks(BaseModel):
    """A part that is not configured reports true."""

    database: bool = Field(description="The Kubernetes API, which keeps jobs and backends.")
    redis: bool = Field(description="The shared cache and limits.")
    vector_db: bool = Field(description="Only where an installation adds a check.")
    llm_api: bool = Field(description="At least one backend can be asked, or there is none.")


class HealthReport(BaseModel):
    """How the gateway is, and what it stands on."""

    status: Literal["healthy", "degraded"]
    checks: HealthChecks
    backends: dict[str, bool] = Field(description="Whether each `namespace/name` can be asked now.")


COMPONENTS: tuple[type[BaseModel], ...] = (
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatCompletionChoice,
    ChatMessage,
    CompletionRequest,
    EmbeddingRequest,
    ResponseRequest,
    ModelsResponse,
    ModelInfo,
    OpenAIError,
    HealthReport,
)

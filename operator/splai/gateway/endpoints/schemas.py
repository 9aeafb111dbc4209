"""The objects of the API as ``/openapi.json`` shows them.

Requests are not validated by them: the gateway passes on what an engine may know and we do not, so fields beyond
these are always allowed. Names and fields are OpenAI's.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from splai.api.openai_chat import (
    ChatCompletionChoice,
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatMessage,
    ModelInfo,
    ModelsResponse,
    OpenAIError,
    OpenAIObject,
)


class CompletionRequest(OpenAIObject):
    """A text to be continued."""

    model: str
    prompt: str | list[str] | list[int] | list[list[int]]
    stream: bool = False
    max_tokens: int | None = None


class EmbeddingRequest(OpenAIObject):
    """Texts to be embedded."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None


class ResponseRequest(OpenAIObject):
    """A request of the Responses API."""

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool = False


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

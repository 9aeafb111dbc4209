"""The objects of OpenAI's chat API as the gateway describes them and a workflow's server speaks them.

Requests may hold what another server knows and we do not, so fields beyond these are always allowed. Names and fields
are OpenAI's: https://platform.openai.com/docs/api-reference/chat
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class OpenAIObject(BaseModel):
    """Names as on the wire; further fields are kept."""

    model_config = ConfigDict(extra="allow")


class ChatMessage(OpenAIObject):
    """A message of a conversation."""

    role: str = Field(examples=["system", "user", "assistant", "tool"])
    content: str | list[dict[str, Any]] | None = Field(default=None, description="Text, or parts of text and images.")
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ChatCompletionRequest(OpenAIObject):
    """A conversation to be continued; parameters that are not listed here go to the engine as they are."""

    model: str = Field(description="An id of `/v1/models`, `namespace/id`, or `auto`.")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = Field(default=False, description="Answer with server-sent events.")
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


class Usage(OpenAIObject):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int | None = None


class ChatCompletionChoice(OpenAIObject):
    """One continuation."""

    index: int
    message: ChatMessage
    finish_reason: str | None = Field(default=None, examples=["stop", "length", "tool_calls", "content_filter"])


class ChatCompletionResponse(OpenAIObject):
    """The whole answer of a request that does not stream."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Unix seconds.")
    model: str
    choices: list[ChatCompletionChoice]
    usage: Usage | None = None


class ModelInfo(OpenAIObject):
    """A name that can be asked for."""

    id: str
    object: Literal["model"]
    created: int = Field(description="Unix seconds.")
    owned_by: str = Field(description="The namespace of its ModelBackend.")


class ModelsResponse(OpenAIObject):
    """All names that can be asked for."""

    object: Literal["list"]
    data: list[ModelInfo]


class ErrorObject(OpenAIObject):
    """What went wrong; engines may add fields of their own."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(OpenAIObject):
    """Every error of the API."""

    error: ErrorObject
    detail: str = Field(description="The message once more.")

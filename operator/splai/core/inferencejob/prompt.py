"""From a record to the request that an engine gets: the one place that knows how, for validation and for the worker.

A record in ``openai-batch`` format brings its request with it. Any other record becomes one through ``spec.prompt``,
or without a template through fields that speak for themselves: ``messages``, ``text``, ``prompt`` or ``input``.
Whatever a record says, ``spec.parameters`` fill in what it leaves out and the job's model answers.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from splai.api.inference_job import Prompt, RequestType
from splai.api.ledger import WorkOrder
from splai.core.inferencejob.template import PromptTemplate, TemplateError

RecordFormat = Literal["jsonl", "openai-batch"]
Record = Mapping[str, Any]

PATHS: Mapping[RequestType, str] = {
    "chat": "/v1/chat/completions",
    "completion": "/v1/completions",
    "embedding": "/v1/embeddings",
    "response": "/v1/responses",
}
CONTENT_FIELDS: Mapping[RequestType, str] = {
    "chat": "messages",
    "completion": "prompt",
    "embedding": "input",
    "response": "input",
}
RESERVED_PARAMETERS = ("model", "messages", "prompt", "input", "stream", "n")


class RecordError(ValueError):
    """The record makes no request; the words name its fields and never quote their contents."""


class RequestBuilder:
    """Builds the requests of one job. Templates are compiled once; ``build`` does per record only what differs."""

    def __init__(
        self,
        *,
        request_type: RequestType,
        model: str,
        prompt: Prompt | None,
        parameters: Mapping[str, Any],
        record_format: RecordFormat,
    ) -> None:
        self.path = PATHS[request_type]
        self._type: RequestType = request_type
        self._content_field = CONTENT_FIELDS[request_type]
        self._model = model
        self._parameters = dict(parameters)
        self._template = _compile(prompt.template if prompt else None, "template")
        self._system = _compile(prompt.system if prompt else None, "system")
        if record_format == "openai-batch":
            self._body: Callable[[Record], dict[str, Any]] = self._own_body
        elif request_type == "chat":
            self._body = self._chat_body
        elif request_type == "response":
            self._body = self._response_body
        else:
            self._body = self._text_body

    @classmethod
    def for_order(cls, order: WorkOrder) -> "RequestBuilder":
        """What a worker builds its requests with."""
        return cls(
            request_type=order.type,
            model=order.model,
            prompt=order.prompt,
            parameters=order.parameters,
            record_format=order.format,
        )

    def build(self, record: Record) -> dict[str, Any]:
        """The body of the request, to be posted to ``path``; raises RecordError."""
        try:
            return {**self._parameters, **self._body(record), "model": self._model}
        except TemplateError as error:
            raise RecordError(str(error)) from error

    def custom_id(self, record: Record, position: int) -> str:
        """The record's name in the output files: its own field ``custom_id``, or its number in the input."""
        own = record.get("custom_id")
        if isinstance(own, str) and own:
            return own
        return str(own) if type(own) is int else f"record-{position + 1}"

    def _chat_body(self, record: Record) -> dict[str, Any]:
        messages = self._messages(record)
        if self._system and not (messages and messages[0].get("role") == "system"):
            messages = [{"role": "system", "content": self._system.render(record)}, *messages]
        return {"messages": messages}

    def _messages(self, record: Record) -> list[Any]:
        if self._template:
            return [{"role": "user", "content": self._template.render(record)}]
        if "messages" in record:
            return _check_messages(record["messages"])
        return [{"role": "user", "content": _text(record, "text", "prompt", also="messages")}]

    def _response_body(self, record: Record) -> dict[str, Any]:
        body = self._response_input(record)
        return {"instructions": self._system.render(record), **body} if self._system else body

    def _response_input(self, record: Record) -> dict[str, Any]:
        if self._template:
            return {"input": self._template.render(record)}
        if isinstance(record.get("input"), list) and record["input"]:
            return {"input": record["input"]}  # items, such as messages and images
        return {"input": _text(record, "input", "text", "prompt")}

    def _text_body(self, record: Record) -> dict[str, Any]:
        if self._template:
            return {self._content_field: self._template.render(record)}
        return {self._content_field: _text(record, self._content_field, "text")}

    def _own_body(self, record: Record) -> dict[str, Any]:
        body = _batch_body(record, self.path)
        if self._content_field not in body:
            raise RecordError(f"body has no {self._content_field}, which {self.path} needs")
        if self._type == "chat":
            _check_messages(body["messages"], "body.messages")
        return body


def _compile(source: str | None, field: str) -> PromptTemplate | None:
    try:
        return PromptTemplate(source) if source is not None else None
    except TemplateError as error:
        raise TemplateError(f"spec.prompt.{field}: {error}") from error


def _text(record: Record, *fields: str, also: str | None = None) -> str:
    for field in fields:
        if field in record:
            value = record[field]
            if not isinstance(value, str):
                raise RecordError(f"{field} must be text, not {_kind(value)}")
            if not value:
                raise RecordError(f"{field} is empty")
            return value
    wanted = " or ".join((also, *fields) if also else fields)
    raise RecordError(f"there is no prompt.template, and the record has no {wanted}")


def _check_messages(messages: Any, field: str = "messages") -> list[Any]:
    if not isinstance(messages, list) or not messages:
        raise RecordError(f"{field} must be a list with at least one message, not {_kind(messages)}")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise RecordError(f"{field}: message {number} must be an object with a role")
    return messages


def _batch_body(record: Record, path: str) -> dict[str, Any]:
    """The body of a line of an OpenAI Batch input file."""
    custom_id, body = record.get("custom_id"), record.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        raise RecordError("custom_id must be a text that is not empty")
    if record.get("method") != "POST":
        raise RecordError("method must be POST")
    if record.get("url") != path:
        raise RecordError(f"url must be {path}, as the job's type says")
    if not isinstance(body, dict):
        raise RecordError("body must be an object")
    if body.get("stream"):
        raise RecordError("body.stream must not be true: a batch's answers are whole")
    return body


def _kind(value: Any) -> str:
    """The value's type in JSON's words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__) + (" that is empty" if value in ([], {}, "") else "")

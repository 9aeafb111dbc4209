"""The items of a response's ``output``, as they grow."""

from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

PartKind = Literal["output_text", "refusal", "reasoning_text"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


def new_id(prefix: str) -> str:
    """An id as OpenAI's look: a prefix that tells the kind, and 32 hexadecimal digits."""
    return f"{prefix}_{uuid4().hex}"


@dataclass(slots=True)
class Part:
    """A run of text of one kind."""

    kind: PartKind
    pieces: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def as_object(self) -> dict[str, Any]:
        if self.kind == "output_text":
            return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs}
        return {"type": self.kind, "refusal" if self.kind == "refusal" else "text": self.text}


@dataclass(slots=True)
class TextItem:
    """What the model says, or what it thinks before that."""

    kind: Literal["message", "reasoning"]
    id: str
    parts: list[Part] = field(default_factory=list)
    status: ItemStatus = "in_progress"

    def as_object(self) -> dict[str, Any]:
        content = [part.as_object() for part in self.parts]
        if self.kind == "reasoning":
            return {"id": self.id, "type": "reasoning", "status": self.status, "summary": [], "content": content}
        return {"id": self.id, "type": "message", "status": self.status, "role": "assistant", "content": content}


@dataclass(slots=True)
class CallItem:
    """A function that the model wants to have called."""

    id: str
    call_id: str
    name: str
    pieces: list[str] = field(default_factory=list)
    status: ItemStatus = "in_progress"

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def as_object(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }


def new_message() -> TextItem:
    return TextItem("message", new_id("msg"))


def new_reasoning() -> TextItem:
    return TextItem("reasoning", new_id("rs"))


def new_call(call_id: str, name: str) -> CallItem:
    """Results are matched by ``call_id``, so a call for which the engine has none gets one."""
    return CallItem(new_id("fc"), call_id or new_id("call"), name)

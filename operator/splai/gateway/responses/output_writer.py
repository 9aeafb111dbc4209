"""The output of a response as events: items and parts open with their first delta and close when the answer ends.

::

    output_item.added ─▶ content_part.added ─▶ …delta* ─▶ …done ─▶ content_part.done ─▶ output_item.done
    output_item.added ─▶ function_call_arguments.delta* ─▶ function_call_arguments.done ─▶ output_item.done

Reasoning and message follow each other: one closes before the other opens. Function calls stay open to the end, as
engines may send pieces of several in turn.
"""

from typing import Any

from splai.gateway.responses.event_writer import EventWriter, delta_head
from splai.gateway.responses.output_items import (
    CallItem,
    ItemStatus,
    Part,
    PartKind,
    TextItem,
    new_call,
    new_message,
    new_reasoning,
)


class OutputWriter:
    """Grows the output and writes what happens to it."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self.items: list[TextItem | CallItem] = []
        self._latest: TextItem | CallItem | None = None
        self._text: TextItem | None = None
        self._text_index = 0
        self._part: Part | None = None
        self._place: dict[str, Any] = {}
        self._text_head = b""
        self._calls: dict[int, CallItem] = {}
        self._call_heads: dict[str, bytes] = {}

    def add_text(self, kind: PartKind, delta: str, logprobs: list[dict[str, Any]]) -> None:
        """More text of one kind, in the open part if it is of that kind."""
        part = self._part
        if part is None or part.kind != kind:
            part = self._open_part(kind)
        part.pieces.append(delta)
        self._latest = self._text
        if logprobs:
            part.logprobs += logprobs
            self._events.write(f"response.{kind}.delta", **self._place, delta=delta, logprobs=logprobs)
        else:
            self._events.write_delta(self._text_head, delta)

    def add_call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        """More of the engine's ``index``-th call; some engines number all of them 0 and only change the id."""
        call = self._calls.get(index)
        if call is None or (name and call_id and call_id != call.call_id):
            call = self._open_call(index, call_id, name)
        elif name and not call.name:
            call.name = name
        self._latest = call
        if arguments:
            call.pieces.append(arguments)
            self._events.write_delta(self._call_heads[call.id], arguments)

    def close(self, status: ItemStatus) -> None:
        """Close everything; the item that grew last is the one that ``status`` is about."""
        if not self.items:
            self._open_part("output_text")
            self._latest = self._text
        self._close_text(status if self._latest is self._text else "completed")
        for index, item in enumerate(self.items):
            if isinstance(item, CallItem):
                self._close_call(index, item, status if item is self._latest else "completed")

    def abandon(self) -> None:
        """Nothing will be added, and nobody knows how much is missing."""
        for item in self.items:
            if item.status == "in_progress":
                item.status = "incomplete"

    def _open_part(self, kind: PartKind) -> Part:
        text = self._text
        if text is not None and (text.kind == "reasoning") != (kind == "reasoning_text"):
            self._close_text("completed")
        self._close_part()
        text = self._text
        if text is None:
            text = self._text = new_reasoning() if kind == "reasoning_text" else new_message()
            self._text_index = self._add(text)
        place = {"item_id": text.id, "output_index": self._text_index, "content_index": len(text.parts)}
        part = Part(kind)
        self._events.write("response.content_part.added", **place, part=part.as_object())
        text.parts.append(part)
        no_logprobs: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        self._part, self._place = part, place
        self._text_head = delta_head(f"response.{kind}.delta", **place, **no_logprobs)
        return part

    def _close_part(self) -> None:
        part = self._part
        if part is None:
            return
        whole: dict[str, Any] = {"refusal" if part.kind == "refusal" else "text": part.text}
        if part.kind == "output_text":
            whole["logprobs"] = part.logprobs
        self._events.write(f"response.{part.kind}.done", **self._place, **whole)
        self._events.write("response.content_part.done", **self._place, part=part.as_object())
        self._part = None

    def _close_text(self, status: ItemStatus) -> None:
        self._close_part()
        if self._text is not None:
            self._text.status = status
            self._done(self._text_index, self._text)
            self._text = None

    def _open_call(self, index: int, call_id: str, name: str) -> CallItem:
        self._close_text("completed")
        call = self._calls[index] = new_call(call_id, name)
        place = {"item_id": call.id, "output_index": self._add(call)}
        self._call_heads[call.id] = delta_head("response.function_call_arguments.delta", **place)
        return call

    def _close_call(self, index: int, call: CallItem, status: ItemStatus) -> None:
        call.status = status
        place = {"item_id": call.id, "output_index": index}
        self._events.write("response.function_call_arguments.done", **place, arguments=call.arguments)
        self._done(index, call)

    def _add(self, item: TextItem | CallItem) -> int:
        index = len(self.items)
        self._events.write("response.output_item.added", output_index=index, item=item.as_object())
        self.items.append(item)
        return index

    def _done(self, index: int, item: TextItem | CallItem) -> None:
        self._events.write("response.output_item.done", output_index=index, item=item.as_object())

"""The records of an earlier job that have no answer, as lines of JSON under the names they had there.

What was answered is read from the parts that the earlier job's output was made of: they stay in its folder wherever
the output went and in whatever format. Of tasks whose commit counts no failure no part is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import zstandard
from pydantic import ValidationError

from splai.api.base import APIModel
from splai.api.ledger import FINAL, PLAN, Commit, Final, TaskRange, WorkOrder, chunk_path, commit_path, task_path
from splai.artifacts import input_chunks, part_lines
from splai.core.inferencejob.line_formats import parse, to_json
from splai.core.inferencejob.prompt import RequestBuilder
from splai.inputs.errors import NOT_FOUND, SourceUnavailable, SourceUnusable
from splai.inputs.source import SourceFile

Get = Callable[[str], bytes | None]
_Model = TypeVar("_Model", bound=APIModel)


@dataclass(kw_only=True)
class FailedRecords(SourceFile):
    """One file: the failed records, in their order."""

    order: WorkOrder
    final: Final
    get: Get

    def read(self) -> Iterator[bytes]:
        builder = RequestBuilder.for_order(self.order)
        lines = _Lines(self.order, self.get)
        for task in self.order.tasks:
            answered = self._answered(task)
            for position in task.positions:
                if position not in answered:
                    line = lines.read(position)
                    record = parse(line)
                    custom_id = builder.custom_id(record, position)
                    named = (
                        line if record.get("custom_id") == custom_id else to_json({**record, "custom_id": custom_id})
                    )
                    yield named + b"\n"

    def _answered(self, task: TaskRange) -> frozenset[int] | range:
        """The positions of a task that have a line in the output."""
        if self.final.complete:
            commit = _require(self.get, commit_path(task.id), Commit)
            if commit.counts.failed == 0:
                return task.positions
            names = commit.parts
        else:
            names = next((it.parts for it in self.final.closed_tasks if it.task == task.id), [])
        kinds: dict[int, part_lines.Kind] = {}
        for name in names:
            for line in part_lines.decode(_content(self.get, task_path(task.id, name))):
                kinds.setdefault(line.position, line.kind)
        return frozenset(position for position, kind in kinds.items() if kind == "output")


def failed_records(job: str, get: Get) -> FailedRecords:
    """Of the job whose folder ``get`` reads; it must be over."""
    try:
        order, final = _require(get, PLAN, WorkOrder), _require(get, FINAL, Final)
    except SourceUnavailable:
        raise SourceUnusable(
            NOT_FOUND, f"the artifacts of InferenceJob {job} are gone, or it ended without an output"
        ) from None
    uri = f"inferencejob://{order.namespace}/{job}/{order.uid}"
    return FailedRecords(uri=uri, name=job, format=order.format, order=order, final=final, get=get)


class _Lines:
    """Records by ascending positions."""

    def __init__(self, order: WorkOrder, get: Get) -> None:
        self._order = order
        self._get = get
        self._chunk = -1
        self._lines: list[bytes] = []

    def read(self, position: int) -> bytes:
        chunks = self._order.chunks
        if chunks is None:
            return to_json(self._order.records[position])
        number = chunks.chunk_of(position)
        if number != self._chunk:
            path = chunk_path(chunks.attempt, number)
            try:
                self._lines = input_chunks.decode(_content(self._get, path))
            except zstandard.ZstdError:
                raise SourceUnavailable(f"the earlier job's {path} is damaged") from None
            self._chunk = number
        return self._lines[position - chunks.first[number]]


def _content(get: Get, path: str) -> bytes:
    content = get(path)
    if content is None:
        raise SourceUnavailable(f"the earlier job's {path} is gone")
    return content


def _require(get: Get, path: str, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(_content(get, path))
    except ValidationError:
        raise SourceUnavailable(f"the earlier job's {path} is not a {model.__name__}") from None

"""The order in which a task's records are sent so that an engine's prefix cache is of use.

Requests that begin alike follow each other, which is what sorting texts does. Positions keep their meaning: only the
order of sending changes, so neither the lines nor what a taker adopts know of it. Where a task is one record the tasks
are arranged, all of the job together.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from typing import Final as Constant

from splai.api.json import compact_text
from splai.api.ledger import WorkOrder
from splai.core.inferencejob.prompt import CONTENT_FIELDS, RecordError, RequestBuilder
from splai.worker.records import Records

WINDOW_BYTES: Constant = 16 * 1024 * 1024  # of requests in memory; a larger task is sorted in pieces of this size
_RECORDS_A_TURN = 50  # rendered before others on the event loop have theirs


class PrefixOrder:
    """Sorts positions by the text of their requests."""

    def __init__(self, records: Records, order: WorkOrder) -> None:
        self._records = records
        self._requests = RequestBuilder.for_order(order)
        self._content_field = CONTENT_FIELDS[order.type]

    async def arrange(self, positions: Sequence[int]) -> list[int]:
        """The same positions, in the order to send them."""
        if len(positions) < 2:
            return list(positions)
        arranged: list[int] = []
        window: list[tuple[str, int]] = []
        size = 0
        for number, position in enumerate(positions):
            text = await self._text(position)
            window.append((text, position))
            size += len(text)
            if size >= WINDOW_BYTES:
                arranged += _sorted(window)
                window, size = [], 0
            if number % _RECORDS_A_TURN == 0:
                await asyncio.sleep(0)
        return arranged + _sorted(window)

    async def _text(self, position: int) -> str:
        try:
            request = self._requests.build(await self._records.record(position))
        except RecordError:
            return ""  # it becomes an error line when its turn comes
        return compact_text(self._content(request))

    def _content(self, request: dict[str, Any]) -> Any:
        """What the engine reads first: for the type response the instructions, then the conversation."""
        content = request.get(self._content_field)
        return [request["instructions"], content] if "instructions" in request else content


def _sorted(window: list[tuple[str, int]]) -> list[int]:
    return [position for _, position in sorted(window)]

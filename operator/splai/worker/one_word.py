"""The smallest request of a job's type, which says whether the backend answers requests at all.

A probe of ``/v1/models`` cannot: a proxy may answer it by itself.
"""

import json
from collections.abc import Mapping
from typing import Any

from splai.api.inference_job import RequestType
from splai.api.ledger import WorkOrder

_REQUESTS: Mapping[RequestType, Mapping[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1},
    "completion": {"prompt": "Hello", "max_tokens": 1},
    "embedding": {"input": "Hello"},
    "response": {"input": "Hello", "max_output_tokens": 16},  # the least that OpenAI takes
}


def one_word(order: WorkOrder) -> bytes:
    """The body of the request; nothing in it is a user's."""
    return json.dumps({"model": order.model, **_REQUESTS[order.type]}).encode()

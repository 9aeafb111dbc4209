"""JSON at the speed of a stream, without losing what orjson refuses.

orjson reads and writes no half of a surrogate pair and writes no integer beyond 64 bits. Both are JSON, so the standard
library takes over where they occur.
"""

from typing import Any

import orjson

from splai.api.json import decode_strict, encode_compact


def decode(data: bytes) -> Any:
    """The value of ``data``; raises ValueError for anything but JSON, nesting that is too deep included."""
    try:
        return orjson.loads(data)
    except ValueError:
        pass
    try:
        return decode_strict(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def encode(value: Any) -> bytes:
    """``value`` on one line, readable again as it was."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return encode_compact(value)

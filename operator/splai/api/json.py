"""JSON as every part of SPLAI reads and writes it.

Encoders and decoders are made once: ``json.dumps`` with options makes one for each call, which takes longer than a
small value does.
"""

import json
from typing import Any, NoReturn


def refuse_constant(name: str) -> NoReturn:
    """The ``parse_constant`` of a decoder: NaN and Infinity are Python's, and other programs refuse them."""
    raise ValueError(f"{name} is not a JSON number")


decode_strict = json.JSONDecoder(parse_constant=refuse_constant).decode
"""Reads a text; raises ValueError for anything but JSON, and RecursionError for a value nested too deeply."""

compact_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Writes on one line with characters as they are; the text may hold half of a surrogate pair, which UTF-8 cannot."""

_compact_ascii = json.JSONEncoder(separators=(",", ":")).encode


def encode_compact(value: Any) -> bytes:
    """Write on one line in ASCII: whatever text the value holds, it can be written and is read again as it was."""
    return _compact_ascii(value).encode()

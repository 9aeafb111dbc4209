"""A short name for what a thing was made from, by which it is told apart from what was made from something else."""

import hashlib
import json
from typing import Any


def content_hash(content: Any, *, digits: int = 12) -> str:
    """Of a JSON value, in hexadecimal: equal values have equal hashes, in every process."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:digits]

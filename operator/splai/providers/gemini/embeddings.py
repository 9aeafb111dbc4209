"""Embeddings by batchEmbedContents: https://ai.google.dev/api/embeddings

The API tells no tokens, so the reply has no ``usage``.
"""

import base64
import struct
from collections.abc import Mapping
from typing import Any

from splai.providers.errors import broken_answer, invalid, no_such_api, unsupported
from splai.providers.protocol import EMBEDDINGS, AnswerStream, Identity, Object

NAME = "Gemini"
_READ = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


class Embeddings:
    """The embeddings of one or several texts."""

    def __init__(self, document: Object, model: str, identity: Identity) -> None:
        """Raises RequestError naming the field that has no translation."""
        for name, value in document.items():
            if name not in _READ and value is not None:
                raise unsupported(name, NAME)
        self._identity = identity
        self._encoding = document.get("encoding_format") or "float"
        if self._encoding not in ("float", "base64"):
            raise invalid("encoding_format", "must be float or base64")
        dimensions = document.get("dimensions")
        wanted = {"outputDimensionality": dimensions} if dimensions is not None else {}
        self._texts = _texts(document.get("input"))
        self.path = f"/{model}:batchEmbedContents"
        self.body: Mapping[str, Any] = {
            "requests": [{"model": model, "content": {"parts": [{"text": text}]}, **wanted} for text in self._texts]
        }

    def whole(self, reply: Any) -> Object:
        found = reply.get("embeddings") if isinstance(reply, dict) else None
        values = [it.get("values") if isinstance(it, dict) else None for it in found or ()]
        if len(values) != len(self._texts) or not all(isinstance(vector, list) for vector in values):
            raise broken_answer(NAME, "sent a reply that is not one embedding for each input")
        data = [
            {"object": "embedding", "index": index, "embedding": self._encoded(vector or [])}
            for index, vector in enumerate(values)
        ]
        return {"object": "list", "data": data, "model": self._identity.model}

    def stream(self) -> AnswerStream:
        raise no_such_api(f"a stream of {EMBEDDINGS}", NAME)

    def _encoded(self, vector: list[float]) -> list[float] | str:
        """OpenAI's clients ask for Base64 of little-endian 32-bit floats by default."""
        if self._encoding == "float":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise invalid("input", f"must be a text or a list of texts; {NAME} takes no tokens")
    return texts

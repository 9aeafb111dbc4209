"""The top-level ``model`` of a JSON object, found and replaced on its bytes.

Requests and replies pass through unparsed wherever possible: parsing and dumping a reply costs more than all the rest
of the relay, and changes bytes that nobody asked us to change. Strings are skipped as a whole, so a ``model`` that
stands in somebody's text is never taken for the key; nested objects are told apart by their depth.
"""

import re

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_VALUE = re.compile(rb"\s*:\s*(" + _STRING + rb")", re.DOTALL)
_KEY = b'"model"'
_OPENING = (b"{", b"[")


def has_model(document: bytes, model: bytes) -> bool:
    """The cheap test for the usual case: ``model`` as compact and as spaced JSON writes it."""
    return b'"model":"' + model + b'"' in document or b'"model": "' + model + b'"' in document


def with_model(document: bytes, model: bytes) -> bytes:
    """``document`` with every string under a top-level ``model`` replaced; unchanged if there is none.

    ``model`` needs no JSON escapes: ids are checked against a pattern before they become routes.
    """
    if _KEY not in document:
        return document
    pieces: list[bytes] = []
    copied = 0
    for start, end in _spans(document):
        pieces += (document[copied:start], b'"', model, b'"')
        copied = end
    return b"".join((*pieces, document[copied:])) if pieces else document


def _spans(document: bytes) -> list[tuple[int, int]]:
    """Where the values of top-level ``model`` keys stand, quotes included."""
    found = []
    depth = 0
    for token in _TOKEN.finditer(document):
        text = token.group()
        if text in _OPENING:
            depth += 1
        elif text[0] != 0x22:
            depth -= 1
        elif depth == 1 and text == _KEY and (value := _VALUE.match(document, token.end())):
            found.append(value.span(1))
    return found

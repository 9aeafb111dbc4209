"""The top-level ``model`` of a JSON object, found and replaced on its bytes.

Requests and replies pass through unparsed wherever possible: parsing and dumping a reply costs more than all the rest
of the relay, and changes bytes that nobody asked us to change.

A member is found by a pattern. It cannot match inside a string, where a quote is escaped, so a ``model`` that stands
in somebody's text is never taken for the key. Nested members are told apart by the brackets before them.
"""

import re

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MEMBER = re.compile(rb'"model"(?<!\\"model")\s*:\s*(' + _STRING.pattern + rb")", re.DOTALL)


def has_model(document: bytes, model: bytes) -> bool:
    """The cheap test for the usual case: ``model`` as compact and as spaced JSON writes it.

    Not by ``in``: it first tries to take what is looked for as a number, and that costs more than the search.
    """
    return document.find(b'"model":"' + model + b'"') >= 0 or document.find(b'"model": "' + model + b'"') >= 0


def with_model(document: bytes, model: bytes) -> bytes:
    """``document`` with every string under a top-level ``model`` replaced; unchanged if there is none.

    ``model`` needs no JSON escapes: ids are checked against a pattern before they become routes.
    """
    pieces: list[bytes] = []
    copied = counted = depth = 0
    for member in _MEMBER.finditer(document):
        depth += _deeper(document[counted : member.start()])
        counted = member.end()
        if depth == 1:
            pieces += (document[copied : member.start(1)], b'"', model, b'"')
            copied = member.end(1)
    return b"".join((*pieces, document[copied:])) if pieces else document


def _deeper(part: bytes) -> int:
    """How many objects and arrays a part opens beyond those that it closes."""
    marks = _STRING.sub(b"", part)
    return marks.count(b"{") + marks.count(b"[") - marks.count(b"}") - marks.count(b"]")

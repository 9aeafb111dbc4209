"""Lines of output.jsonl and errors.jsonl, in the format of the OpenAI Batch API.

An answer's bytes are embedded as they came: they were checked to be JSON, and writing them anew would cost time and
could change a number or a character. An HTTP error keeps its status and body under ``response``, as OpenAI does;
``error`` is for records without any response. Engines' own words are cut, and never go anywhere else.
"""

import hashlib
import json

from splai.api.json import encode_compact
from splai.worker.outcome import Answer, NoAnswer

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_LONGEST_ERROR = 4096
_LONGEST_MESSAGE = 1000


def line_id(job_uid: str, position: int) -> str:
    """The same for a record whoever writes its line, and different for every record."""
    return line_ids(job_uid) % position


def line_ids(job_uid: str) -> str:
    """The pattern of a job's line ids, to be formatted with a position."""
    return f"batch_req_{hashlib.sha256(job_uid.encode()).hexdigest()[:16]}%010x"


def answer_line(identifier: str, custom_id: str, answer: Answer) -> bytes:
    """The line of a record that the engine answered; the body must be JSON."""
    return b'{"id":"%s","custom_id":%s,"response":{"status_code":%d,"request_id":%s,"body":%s},"error":null}' % (
        identifier.encode(),
        encode_compact(custom_id),
        answer.status,
        encode_compact(answer.request_id),
        _on_one_line(answer.body),
    )


def failure_line(identifier: str, custom_id: str, reaction: Answer | NoAnswer) -> bytes:
    """The line of a record that was refused, or whose last attempt failed."""
    if isinstance(reaction, NoAnswer):
        return error_line(identifier, custom_id, code=reaction.code, message=reaction.message)
    body = _error_body(reaction)
    return answer_line(identifier, custom_id, Answer(reaction.status, body, reaction.request_id))


def error_line(identifier: str, custom_id: str, *, code: str, message: str) -> bytes:
    """The line of a record that has no response."""
    error = {"code": code, "message": message[:_LONGEST_MESSAGE]}
    return b'{"id":"%s","custom_id":%s,"response":null,"error":%s}' % (
        identifier.encode(),
        encode_compact(custom_id),
        encode_compact(error),
    )


def _error_body(answer: Answer) -> bytes:
    """The engine's error if it is a short JSON object, else one that quotes how it begins."""
    if len(answer.body) <= _LONGEST_ERROR:
        try:
            body = json.loads(answer.body.decode())
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return encode_compact(body)
    text = answer.body[: 4 * _LONGEST_MESSAGE].decode(errors="replace")[:_LONGEST_MESSAGE]
    return encode_compact({"error": {"message": text, "type": "engine_error", "param": None, "code": None}})


def _on_one_line(body: bytes) -> bytes:
    """JSON has line breaks only between its tokens, never within a string."""
    body = body.strip()
    return body.translate(_LINE_BREAKS) if b"\n" in body or b"\r" in body else body
